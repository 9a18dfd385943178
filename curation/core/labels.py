"""Labels of audit events, reasons, errors, metrics and subsets, in the reader's language.

A row stores no sentence, because everybody would read it in the language of the person who wrote it. It stores a
code with its arguments (common.messages). The texts of the codes stand here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext, gettext_lazy, ngettext_lazy

from common.messages import message, message_from_json, register_messages, registered_messages
from curation.models import Assignment, Event, Review

Reason = dict[str, Any]  # {"code": a key of REASON_MESSAGES, "args": the arguments of its text}

METRIC_LABELS = {
    "ndcg": "nDCG",
    "recall": gettext_lazy("Recall"),
    "mrr": "MRR",
    "judged": gettext_lazy("Judged"),
    "em": gettext_lazy("Exact match"),
    "f1": "F1",
    "rougeL": "ROUGE-L",
    "logprob": gettext_lazy("log-probability of the answer"),
    "refusal-precision": gettext_lazy("Refusal precision"),
    "refusal-recall": gettext_lazy("Refusal recall"),
}

GUARDRAIL_PREFIX = "guard:"  # of the metric names of a guardrail set

EVENT_LABELS = {
    "asked": gettext_lazy("asked"),
    "imported": gettext_lazy("imported"),
    "claimed": gettext_lazy("claimed"),
    "took_up": gettext_lazy("resumed a skipped query"),
    "resumed": gettext_lazy("resumed after the reservation expired"),
    "handed_back": gettext_lazy("released"),
    "skipped": gettext_lazy("skipped"),
    "reassigned": gettext_lazy("reassigned"),
    "lapsed": gettext_lazy("lost the expired reservation"),
    "lease_released": gettext_lazy("ended the reservation"),
    "graded": gettext_lazy("graded a passage"),
    "cleared": gettext_lazy("cleared a grade"),
    "withdrew": gettext_lazy("withdrew a judgement"),
    "added_passage": gettext_lazy("added a passage"),
    "answered": gettext_lazy("edited the answer"),
    "marked_unanswerable": gettext_lazy("changed “no answer in corpus”"),
    "flagged": gettext_lazy("changed the flag"),
    "submitted": gettext_lazy("submitted"),
    "took_back": gettext_lazy("undid the submit"),
    "returned": gettext_lazy("sent it back to the annotator"),
    "sent_to_review": gettext_lazy("The judgements go to a reviewer"),
    "settled": gettext_lazy("resolved"),
    "reopened": gettext_lazy("reopened"),
    "expired": gettext_lazy("The text of %(passage)s has changed: its judgements no longer count"),
    "confirmed_grade": gettext_lazy("confirmed a suggested grade"),
    "refused_grade": gettext_lazy("rejected a suggested grade"),
    "took_back_grade": gettext_lazy("undid a decision on a suggested grade"),
    "asked_anew": gettext_lazy("An edited passage was queued for re-annotation"),
    "settled_anew": gettext_lazy("The re-annotation of an edited passage is resolved"),
    "made_gold": gettext_lazy("made it a gold question"),
    "unmade_gold": gettext_lazy("made it an ordinary query again"),
    "member_added": gettext_lazy("added a member"),
    "member_changed": gettext_lazy("changed a member"),
    "member_removed": gettext_lazy("removed a member"),
    "settings_changed": gettext_lazy("changed the project settings"),
    "guidelines_written": gettext_lazy("wrote version %(version)s of the guidelines"),
    "policy_changed": gettext_lazy("changed the schedule and the gate"),
    "guard_added": gettext_lazy("added a guardrail set"),
    "guard_changed": gettext_lazy("changed a guardrail set"),
    "licence_changed": gettext_lazy("changed the licence of the corpus"),
    "overlap_changed": gettext_lazy("changed the number of annotators of a query"),
    "release.switched": gettext_lazy("promoted release %(release)s"),
    "release.rolled_back": gettext_lazy("rolled back to release %(release)s"),
    "release.declined": gettext_lazy("declined release %(release)s"),
}

# Events without an actor: the label above would need a name before it.
AUTOMATIC_EVENT_LABELS = {
    "lapsed": gettext_lazy("The reservation expired; the query is back in the queue"),
    "settled": gettext_lazy("Resolved by consensus"),
    "imported": gettext_lazy("Imported"),
    "asked": gettext_lazy("Asked"),
    "guard_added": gettext_lazy("A guardrail set was added"),
    "release.switched": gettext_lazy("Release %(release)s was promoted"),
    "release.rolled_back": gettext_lazy("Rolled back to release %(release)s"),
}

REASON_MESSAGES = {
    "random": gettext_lazy("Picked at random."),
    "chosen": gettext_lazy("You chose it."),
    "given": gettext_lazy("It was assigned to you."),
    "disagreement": gettext_lazy("The retriever and the language model rank its passages differently."),
    "disagreement_near": gettext_lazy("The retriever and the language model disagree on similar queries."),
    "people": ngettext_lazy(
        "Annotators differ by %(n)d grade on a passage.", "Annotators differ by %(n)d grades on a passage.", "n"
    ),
    "traffic": gettext_lazy("It was asked %(n)d times."),
    "hole": gettext_lazy("An unjudged passage has rank %(rank)d in build %(build)d."),
    "started": gettext_lazy("%(done)d of %(all)d annotators have judged it."),
    "age": ngettext_lazy("It was asked %(days)d day ago.", "It was asked %(days)d days ago.", "days"),
    "edited": ngettext_lazy(
        "The text of %(n)d passage was edited after it was judged.",
        "The text of %(n)d passages was edited after they were judged.",
        "n",
    ),
    "worse": gettext_lazy("It got worse with release %(release)d."),
    "flagged": gettext_lazy("Flagged: %(comment)s"),
    "apart": ngettext_lazy("Annotators differ by %(n)d grade.", "Annotators differ by %(n)d grades.", "n"),
    "unsure": ngettext_lazy(
        "The consensus is uncertain for %(n)d passage.", "The consensus is uncertain for %(n)d passages.", "n"
    ),
    "some_unanswerable": gettext_lazy("Some annotators say: no answer in corpus."),
    "answers_differ": gettext_lazy("The answers differ."),
    "opened_again": gettext_lazy("Reopened by a reviewer."),
    "opened_again_for": gettext_lazy("Reopened: %(comment)s"),
}

ERROR_MESSAGES = {
    "nothing_serves": gettext_lazy("No release is live yet: build the index of %(project)s first."),
    "build_elsewhere": gettext_lazy("Build %(build)s belongs to another corpus."),
    "build_not_there": gettext_lazy("Release %(number)s cannot go live: build %(build)s was removed or is not ready."),
    "reranker_not_there": gettext_lazy("Release %(number)s cannot go live: the files of its reranker are missing."),
}

register_messages(REASON_MESSAGES)
register_messages(ERROR_MESSAGES)

# Subsets of the test split on which a metric is measured apart.
SUBSET_LABELS = {
    "seen": gettext_lazy("passages seen in training"),
    "unseen": gettext_lazy("passages never trained on"),
    "near": gettext_lazy("queries close to the training set"),
    "far": gettext_lazy("unseen-like third of the test set"),
    "rare": gettext_lazy("asked once"),
    "frequent": gettext_lazy("asked more than once"),
    "answerable": gettext_lazy("answer in corpus"),
    "unanswerable": gettext_lazy("no answer in corpus"),
    "latin": gettext_lazy("in Latin script"),
    "zh": gettext_lazy("in Chinese"),
    "ja": gettext_lazy("in Japanese"),
    "ko": gettext_lazy("in Korean"),
    "cyrillic": gettext_lazy("in Cyrillic script"),
    "arabic": gettext_lazy("in Arabic script"),
}


def describe_event(event: Event) -> str:
    """Return what happened, without the actor; the verb itself where it has no label."""
    label = (event.actor_id is None and AUTOMATIC_EVENT_LABELS.get(event.verb)) or EVENT_LABELS.get(event.verb)
    if label is None:
        return event.verb.replace("_", " ").replace(".", ": ")
    text = str(label)
    return text % event.data if "%(" in text else text


def verb_choices() -> list[tuple[str, str]]:
    """Return (verb, label) of the events that can be filtered by, in the order of their labels."""
    choices = [(verb, str(label)) for verb, label in EVENT_LABELS.items() if "%(" not in str(label)]
    return sorted(choices, key=lambda choice: choice[1].casefold())


def make_reason(code: str, **args: object) -> Reason:
    """Return a reason to be stored. Raises KeyError for an unknown code, and for a missing argument."""
    return message(code, **args).to_json()


def describe_reasons(reasons: Iterable[Reason]) -> str:
    """Return the reasons as sentences, joined by spaces; unknown codes are left out."""
    return " ".join(str(message_from_json(reason)) for reason in reasons if reason["code"] in registered_messages())


def describe_reason(row: Assignment | Review) -> str:
    """Return the reason of an assignment or a review; of a row from before there were codes, its stored text."""
    return describe_reasons(row.reasons) or row.reason_text


def metric_label(name: str) -> str:
    """Return the label of a metric name.

    ndcg@10 → nDCG@10; "ndcg@10 unseen" → nDCG@10, passages never trained on; "guard:SET ndcg@10" names the set.
    """
    metric, _space, subset = name.partition(" ")
    if metric.startswith(GUARDRAIL_PREFIX):
        text = gettext("Guardrail set %(name)s: %(measure)s")
        return text % {"name": metric.removeprefix(GUARDRAIL_PREFIX), "measure": metric_label(subset)}
    stem, at, cutoff = metric.partition("@")
    label = f"{METRIC_LABELS.get(stem, stem)}{at}{cutoff}"
    return (
        gettext("%(measure)s, %(part)s") % {"measure": label, "part": SUBSET_LABELS.get(subset, subset)}
        if subset
        else label
    )
