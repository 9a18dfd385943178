"""Two releases on one query, side by side, for people to prefer one without knowing whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from common.jobs import JobState
from curation.core.errors import CurationError
from curation.models import Project, Query, Release
from retrieval.models import Passage
from tuning.engine.metrics.answer_metrics import words
from tuning.evaluation.offline_run import Rankings
from tuning.models import ComparisonPair, Evaluation, Vote

KEPT = 5  # passages of a side: what a person compares at a glance
A, B = "a", "b"


@dataclass(frozen=True)
class Side:
    """One side as it stands for one person. release: whose it is, None until the person has voted."""

    letter: str
    answer: str | None
    passages: list[Passage]
    release: Release | None


class AlreadyVoted(CurationError):
    """The person has voted on this pair, and has been told whose the sides are."""


class BadVote(CurationError):
    """A vote is for a, for b, for both alike or for neither."""


def keep(
    evaluation: Evaluation, rankings: tuple[Rankings, Rankings], written: tuple[dict[str, str], dict[str, str]]
) -> int:
    """How many queries differ in their first passages or in their answer; each becomes a pair.

    Called again after a worker was lost it keeps the newer pairs: nobody votes before the evaluation is done.
    """
    ComparisonPair.objects.filter(evaluation=evaluation).delete()
    known = Query.objects.in_bulk([int(query_id) for query_id in rankings[0]])
    pairs = []
    for query_id in rankings[0]:
        sides = [_side(ranked[query_id], said.get(query_id)) for ranked, said in zip(rankings, written, strict=True)]
        if int(query_id) in known and _differ(*sides):
            pairs.append(
                ComparisonPair(evaluation=evaluation, query_id=int(query_id), champion=sides[0], challenger=sides[1])
            )
    ComparisonPair.objects.bulk_create(pairs, batch_size=500)
    return len(pairs)


def open_to(project: Project, user: AbstractBaseUser, release: int | None = None) -> QuerySet[ComparisonPair]:
    """The pairs the person has not voted on, those of the newest evaluation first; of one challenger, if named."""
    found = finished(project)
    if release is not None:
        found = found.filter(evaluation__challenger__number=release)
    return found.exclude(votes__voter_id=user.pk).order_by("-evaluation_id", "pk")


def champion_is_a(pair: ComparisonPair, user: AbstractBaseUser) -> bool:
    """How the sides stand for this person: as good as a coin for each pair, and the same at every look."""
    return salted_hmac("tuning.voting", f"{pair.pk} {user.pk}").digest()[0] % 2 == 0


def finished(project: Project) -> QuerySet[ComparisonPair]:
    """The pairs of the project that may be looked at: those of evaluations that are done."""
    return ComparisonPair.objects.filter(evaluation__cycle__project=project, evaluation__state=JobState.DONE)


def sides(pair: ComparisonPair, user: AbstractBaseUser, mine: Vote | None) -> list[Side]:
    """A and B as they stand for this person; whose they are only with their vote."""
    known = Passage.objects.in_bulk({*pair.champion["passages"], *pair.challenger["passages"]})
    ordered = [(pair.champion, pair.evaluation.champion), (pair.challenger, pair.evaluation.challenger)]
    if not (mine.champion_was_a if mine else champion_is_a(pair, user)):
        ordered.reverse()
    return [
        Side(
            letter=letter,
            answer=side["answer"],
            passages=[known[passage_id] for passage_id in side["passages"] if passage_id in known],
            release=release if mine else None,
        )
        for letter, (side, release) in zip("AB", ordered, strict=True)
    ]


def vote(pair: ComparisonPair, user: AbstractBaseUser, said: str) -> Vote:
    """The person's vote, for good: a, b, tie or neither. Raises AlreadyVoted, BadVote."""
    is_a = champion_is_a(pair, user)
    meant = {
        A: Vote.Choice.CHAMPION if is_a else Vote.Choice.CHALLENGER,
        B: Vote.Choice.CHALLENGER if is_a else Vote.Choice.CHAMPION,
        Vote.Choice.TIE.value: Vote.Choice.TIE,
        Vote.Choice.NEITHER.value: Vote.Choice.NEITHER,
    }
    if said not in meant:
        raise BadVote(_("Choose A, B, both alike, or neither."))
    try:
        with transaction.atomic():
            return Vote.objects.create(pair=pair, voter_id=user.pk, choice=meant[said], champion_was_a=is_a)
    except IntegrityError as error:
        raise AlreadyVoted(_("You have voted on this one.")) from error


def _side(hits: list[Any], answer: str | None) -> dict[str, Any]:
    return {"passages": [hit.passage_id for hit in hits[:KEPT]], "answer": answer}


def _differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one["answer"] is not None and other["answer"] is not None and words(one["answer"]) != words(other["answer"]):
        return True
    return bool(one["passages"] != other["passages"])
