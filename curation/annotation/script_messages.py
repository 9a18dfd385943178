"""What the judge page's scripts load and say. Placeholders in braces are filled in by the page."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

MODULES = [
    f"js/annotation/{name}.js"
    for name in (
        "keys",
        "outbox",
        "work",
        "answer",
        "evidence",
        "marking",
        "diff",
        "notices",
        "prefetch",
        "timer",
        "undo",
        "search",
        "lease",
        "copies",
    )
]

WORDS = {
    "saved": _("Saved"),
    "saving": _("Saving…"),
    "offline": _("Offline: {count} kept here"),
    "signed-out": _("Signed out: {count} kept here"),
    "graded": _("Passage {position}: {grade}"),
    "all_graded": _("All graded. Enter submits."),
    "still": _("{count} to grade before the submit."),
    "undone": _("Undone"),
    "nothing_to_undo": _("Nothing to undo"),
    "submitted": _("Submitted. Next question: {query}"),
    "skipped": _("Skipped. Next question: {query}"),
    "taken_back": _("Taken back: {query}"),
    "fetching": _("Fetching the next…"),
    "waiting_for_connection": _("Kept here until the connection is back; then the next comes."),
    "unanswerable": _("Marked unanswerable"),
    "answerable": _("No longer marked unanswerable"),
    "flagged": _("Flagged for review"),
    "evidence": _("Marked as evidence"),
    "evidence_gone": _("No longer evidence"),
    "evidence_waits": _("Marked; it is saved with the grade."),
    "picking": _("The same key marks this sentence; j and k go to another, Esc leaves."),
    "searching": _("Searching…"),
    "search_offline": _("The search needs a connection."),
    "select_first": _("Select words of a passage first."),
    "remove": _("Remove"),
    "cite": _("Cite"),
    "cited": _("Passage {position} cited"),
    "uncited": _("Passage {position} no longer cited"),
    "no_sentence": _("The answer has no sentence yet."),
    "marks_on": _("Words of the question marked"),
    "marks_off": _("Words of the question not marked"),
    "lost": _("This is no longer yours: {reason} Your answer is kept here."),
    "copy": _("Copy the answer"),
    "copied": _("Copied"),
    "next": _("Show the next"),
    "elsewhere": _("Submitted in another tab."),
    "changed_elsewhere": _("The answer was changed in another tab."),
    "use_theirs": _("Show that one"),
    "refused": _("Not saved: {reason}"),
    "show_it": _("Show it"),
    "sign_in": _("Sign in again"),
    "gold": _("That was a gold question: {right} of {known} graded as known."),
    "added": _("Passage added: grade it"),
}
