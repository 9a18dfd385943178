"""What the record, the reasons and the measures are called, in the reader's language.

A row keeps no sentence, or everybody would read it in the language of whoever wrote it: it keeps a code with its
arguments (common.messages), and the words stand here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext, gettext_lazy, ngettext_lazy

from common.messages import message, message_from_json, register_messages, registered_messages
from curation.models import Assignment, Event, Review

Reason = dict[str, Any]  # {"code": a key of REASONS, "args": what the sentence names}

MEASURES = {
    "ndcg": "nDCG",
    "recall": gettext_lazy("Recall"),
    "mrr": "MRR",
    "judged": gettext_lazy("Judged"),
    "em": gettext_lazy("Exact match"),
    "f1": "F1",
    "rougeL": "ROUGE-L",
    "logprob": gettext_lazy("log-probability of the answer"),
    "refusal-precision": gettext_lazy("Refusals that were called for"),
    "refusal-recall": gettext_lazy("Unanswerable queries refused"),
}

GUARD = "guard:"

EVENTS = {
    "asked": gettext_lazy("asked"),
    "imported": gettext_lazy("imported it"),
    "claimed": gettext_lazy("took it to judge"),
    "took_up": gettext_lazy("took it up again after giving it back"),
    "resumed": gettext_lazy("took it up again after the lease ran out"),
    "handed_back": gettext_lazy("handed it back"),
    "skipped": gettext_lazy("skipped it"),
    "reassigned": gettext_lazy("gave it to somebody else"),
    "lapsed": gettext_lazy("lost it when the lease ran out"),
    "lease_released": gettext_lazy("ended the lease"),
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
    "sent_to_review": gettext_lazy("The judgements go to a reviewer"),
    "settled": gettext_lazy("settled it"),
    "reopened": gettext_lazy("reopened it"),
    "expired": gettext_lazy("The text of %(passage)s has changed: its judgements no longer count"),
    "confirmed_grade": gettext_lazy("confirmed a grade that was passed on"),
    "refused_grade": gettext_lazy("refused a grade that was passed on"),
    "took_back_grade": gettext_lazy("took back a decision on a grade that was passed on"),
    "asked_anew": gettext_lazy("The new text of an edited passage went into the queue"),
    "settled_anew": gettext_lazy("The new text of an edited passage is settled"),
    "made_gold": gettext_lazy("made it a gold question"),
    "unmade_gold": gettext_lazy("made it an ordinary question again"),
    "member_added": gettext_lazy("added a person to the project"),
    "member_changed": gettext_lazy("changed what a person may do in the project"),
    "member_removed": gettext_lazy("took a person out of the project"),
    "settings_changed": gettext_lazy("changed the settings of the project"),
    "guidelines_written": gettext_lazy("wrote version %(version)s of the guidelines"),
    "policy_changed": gettext_lazy("changed when the loop turns and what its gate target_rule"),
    "guard_added": gettext_lazy("added a guardrail set"),
    "guard_changed": gettext_lazy("changed a guardrail set"),
    "licence_changed": gettext_lazy("changed the licence of the corpus"),
    "overlap_changed": gettext_lazy("changed how many people judge it"),
    "release.switched": gettext_lazy("put release %(release)s in service"),
    "release.rolled_back": gettext_lazy("rolled back to release %(release)s"),
    "release.declined": gettext_lazy("declined release %(release)s"),
}

# What happens without a person doing it; their words above want a name before them.
BY_NOBODY = {
    "lapsed": gettext_lazy("The lease ran out: it is in the queue again"),
    "settled": gettext_lazy("The consensus settled it"),
    "imported": gettext_lazy("It was imported"),
    "asked": gettext_lazy("It was asked"),
    "guard_added": gettext_lazy("A guardrail set was added"),
    "release.switched": gettext_lazy("Release %(release)s went into service"),
    "release.rolled_back": gettext_lazy("Release %(release)s went into service again"),
}

REASONS = {
    "random": gettext_lazy("Picked at random."),
    "chosen": gettext_lazy("You chose it."),
    "given": gettext_lazy("It was given to you."),
    "disagreement": gettext_lazy("The retriever and the language model rank its passages differently."),
    "disagreement_near": gettext_lazy("The retriever and the language model disagree on questions like this one."),
    "people": gettext_lazy("Two people's grades of one passage lie %(n)d apart."),
    "traffic": gettext_lazy("It was asked %(n)d times."),
    "hole": gettext_lazy("Nobody has judged what build %(build)d ranks at place %(rank)d."),
    "started": gettext_lazy("%(done)d of %(all)d people have judged it."),
    "age": ngettext_lazy("It was asked %(days)d day ago.", "It was asked %(days)d days ago.", "days"),
    "edited": ngettext_lazy(
        "The text of %(n)d passage was edited after it was judged.",
        "The text of %(n)d passages was edited after they were judged.",
        "n",
    ),
    "worse": gettext_lazy("It got worse with release %(release)d."),
    "flagged": gettext_lazy("Flagged: %(comment)s"),
    "apart": gettext_lazy("Grades of one passage lie %(n)d apart."),
    "unsure": ngettext_lazy(
        "The consensus is unsure of %(n)d passage.", "The consensus is unsure of %(n)d passages.", "n"
    ),
    "some_unanswerable": gettext_lazy("Some say the corpus holds no answer."),
    "answers_differ": gettext_lazy("The answers differ."),
    "opened_again": gettext_lazy("Opened again by a reviewer."),
    "opened_again_for": gettext_lazy("Opened again: %(comment)s"),
}

REFUSALS = {
    "nothing_serves": gettext_lazy("Nothing serves yet: build the index of %(project)s first."),
    "build_elsewhere": gettext_lazy("Build %(build)s is of another corpus."),
    "build_not_there": gettext_lazy("Release %(number)s cannot serve: build %(build)s is not there any more."),
    "reranker_not_there": gettext_lazy("Release %(number)s cannot serve: its reranker is not there any more."),
}

register_messages(REASONS)
register_messages(REFUSALS)

SLICES = {
    "seen": gettext_lazy("passages seen in training"),
    "unseen": gettext_lazy("passages never trained on"),
    "near": gettext_lazy("questions near to training"),
    "far": gettext_lazy("the third furthest from training"),
    "rare": gettext_lazy("asked once"),
    "frequent": gettext_lazy("asked more than once"),
    "answerable": gettext_lazy("the corpus holds an answer"),
    "unanswerable": gettext_lazy("the corpus holds no answer"),
    "latin": gettext_lazy("in Latin script"),
    "zh": gettext_lazy("in Chinese"),
    "ja": gettext_lazy("in Japanese"),
    "ko": gettext_lazy("in Korean"),
    "cyrillic": gettext_lazy("in Cyrillic script"),
    "arabic": gettext_lazy("in Arabic script"),
}


def of_event(event: Event) -> str:
    """What happened, without who; the verb itself where it has no words yet."""
    words = (event.actor_id is None and BY_NOBODY.get(event.verb)) or EVENTS.get(event.verb)
    if words is None:
        return event.verb.replace("_", " ").replace(".", ": ")
    text = str(words)
    return text % event.data if "%(" in text else text


def verbs() -> list[tuple[str, str]]:
    """What the record can say, each with its words, in their order."""
    found = [(verb, str(words)) for verb, words in EVENTS.items() if "%(" not in str(words)]
    return sorted(found, key=lambda pair: pair[1].casefold())


def because(code: str, **args: object) -> Reason:
    """A reason to be stored. Raises KeyError for a code without words, or words that miss an argument."""
    return message(code, **args).to_json()


def of_reasons(reasons: Iterable[Reason]) -> str:
    """The reasons as sentences, one after the other; a code that is no longer known is left out."""
    return " ".join(str(message_from_json(reason)) for reason in reasons if reason["code"] in registered_messages())


def why(row: Assignment | Review) -> str:
    """Why the row is where it is; of an old one the words it was written with."""
    return of_reasons(row.reasons) or row.reason_text


def of_measure(name: str) -> str:
    """ndcg@10 → nDCG@10, and "ndcg@10 unseen" → nDCG@10, passages never trained on; "guard:…" names its set."""
    measure, _space, part = name.partition(" ")
    if measure.startswith(GUARD):
        told = gettext("Guardrail set %(name)s: %(measure)s")
        return told % {"name": measure.removeprefix(GUARD), "measure": of_measure(part)}
    stem, at, cut = measure.partition("@")
    words = f"{MEASURES.get(stem, stem)}{at}{cut}"
    return gettext("%(measure)s, %(part)s") % {"measure": words, "part": SLICES.get(part, part)} if part else words
