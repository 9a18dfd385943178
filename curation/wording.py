"""What the record and the measures are called, in the reader's language."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

from curation.models import Event

MEASURES = {
    "ndcg": "nDCG",
    "recall": gettext_lazy("Recall"),
    "mrr": "MRR",
    "judged": gettext_lazy("Judged"),
    "em": gettext_lazy("Exact match"),
    "f1": "F1",
    "rougeL": "ROUGE-L",
}

EVENTS = {
    "asked": gettext_lazy("asked"),
    "imported": gettext_lazy("imported it"),
    "claimed": gettext_lazy("took it to judge"),
    "resumed": gettext_lazy("took it up again after the lease ran out"),
    "handed_back": gettext_lazy("handed it back"),
    "skipped": gettext_lazy("skipped it"),
    "reassigned": gettext_lazy("gave it to somebody else"),
    "lapsed": gettext_lazy("lost it when the lease ran out"),
    "graded": gettext_lazy("graded a passage"),
    "cleared": gettext_lazy("cleared a grade"),
    "withdrew": gettext_lazy("withdrew a judgement"),
    "added_passage": gettext_lazy("added a passage"),
    "answered": gettext_lazy("wrote the answer"),
    "marked_unanswerable": gettext_lazy("said whether the corpus holds an answer"),
    "flagged": gettext_lazy("set or took off a flag"),
    "submitted": gettext_lazy("submitted"),
    "took_back": gettext_lazy("took the submit back"),
    "returned": gettext_lazy("returned it to its curator"),
    "settled": gettext_lazy("settled it"),
    "reopened": gettext_lazy("reopened it"),
    "expired": gettext_lazy("The text of %(passage)s has changed: its judgements no longer count"),
    "made_gold": gettext_lazy("made it a gold question"),
    "release.switched": gettext_lazy("put release %(release)s in service"),
    "release.rolled_back": gettext_lazy("rolled back to release %(release)s"),
    "release.declined": gettext_lazy("declined release %(release)s"),
}

SLICES = {
    "seen": gettext_lazy("passages seen in training"),
    "unseen": gettext_lazy("passages never trained on"),
}


def of_event(event: Event) -> str:
    """What happened, without who; the verb itself where it has no words yet."""
    words = EVENTS.get(event.verb)
    if words is None:
        return event.verb.replace("_", " ").replace(".", ": ")
    text = str(words)
    return text % event.data if "%(" in text else text


def of_measure(name: str) -> str:
    """ndcg@10 → nDCG@10, and "ndcg@10 unseen" → nDCG@10, passages never trained on."""
    measure, _space, part = name.partition(" ")
    stem, at, cut = measure.partition("@")
    words = f"{MEASURES.get(stem, stem)}{at}{cut}"
    return f"{words}, {SLICES.get(part, part)}" if part else words
