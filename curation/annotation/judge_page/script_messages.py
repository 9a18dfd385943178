"""Scripts of the judge page: the modules it loads, and their messages. The page fills placeholders in braces."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

MODULES = [
    *("js/http.js", "js/keyboard.js", "js/offline/outbox.js", "js/offline/page_copies.js"),
    *("js/text/diff.js", "js/text/spans.js"),
    *(
        f"js/annotation/{name}.js"
        for name in (
            "active_time",
            "answer",
            "evidence",
            "judgement_edits",
            "lease",
            "navigation",
            "notices",
            "passage_search",
            "prefetch",
            "span_selection",
            "sync",
            "undo",
            "work",
        )
    ),
]

MESSAGES: dict[str, str | Promise] = {
    "saved": _("Saved"),
    "saving": _("Saving…"),
    "offline": _("Offline: {count} not sent yet"),
    "signed-out": _("Signed out: {count} not sent yet"),
    "graded": _("Passage {position}: {grade}"),
    "all_graded": _("All graded. Press Enter to submit."),
    "grades_missing": _("Grade the remaining passages ({count}) to submit."),
    "undone": _("Undone"),
    "nothing_to_undo": _("Nothing to undo"),
    "submitted": _("Submitted. Next query: {query}"),
    "skipped": _("Skipped. Next query: {query}"),
    "submit_undone": _("Submit undone: {query}"),
    "fetching": _("Loading the next query…"),
    "waiting_for_connection": _("Saved in this browser until you are online again. Then the next query loads."),
    "unanswerable": _("Marked: no answer in corpus"),
    "answerable": _("Mark “no answer in corpus” removed"),
    "flagged": _("Flagged for review"),
    "evidence": _("Marked as evidence"),
    "evidence_gone": _("Evidence removed"),
    "evidence_waits": _("Marked; it is saved with the grade."),
    "picking": _("The same key marks this sentence, j and k move to another, Esc cancels."),
    "searching": _("Searching…"),
    "search_offline": _("The search needs a connection."),
    "select_first": _("Select words of a passage first."),
    "remove": _("Remove"),
    "cite": _("Cite"),
    "cited": _("Passage {position} cited"),
    "uncited": _("Passage {position} no longer cited"),
    "no_sentence": _("The answer has no sentence yet."),
    "marks_on": _("Words of the query highlighted"),
    "marks_off": _("Words of the query not highlighted"),
    "reservation_lost": _("You no longer have this query. {reason} Your answer is still on this page."),
    "copy_answer": _("Copy the answer"),
    "copied": _("Copied"),
    "show_next": _("Show the next query"),
    "submitted_elsewhere": _("Submitted in another tab."),
    "changed_elsewhere": _("The answer was changed in another tab."),
    "show_that_version": _("Show that version"),
    "refused": _("Not saved: {reason}"),
    "show": _("Show"),
    "sign_in": _("Sign in again"),
    "gold": _("That was a gold question: {right} of {known} grades are correct."),
    "added": _("Passage added. Now grade it."),
}
