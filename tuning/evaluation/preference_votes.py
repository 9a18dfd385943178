"""Preference votes: people compare two releases on one query, side by side and blind."""

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

PASSAGES_PER_SIDE = 5  # as many as a person compares at a glance
A, B = "a", "b"


@dataclass(frozen=True)
class Side:
    """One side as one person sees it. release: None until the person has voted."""

    letter: str
    answer: str | None
    passages: list[Passage]
    release: Release | None


class AlreadyVoted(CurationError):
    """The person has voted on this pair and has seen the releases."""


class BadVote(CurationError):
    """The choice is none of a, b, tie and neither."""


def save_pairs(
    evaluation: Evaluation, rankings: tuple[Rankings, Rankings], answers: tuple[dict[str, str], dict[str, str]]
) -> int:
    """Store a pair for each query whose first passages or answers differ, and return the number of pairs.

    A second call, after a worker was lost, replaces the pairs: nobody votes before the evaluation is done.
    """
    ComparisonPair.objects.filter(evaluation=evaluation).delete()
    existing = Query.objects.in_bulk([int(query_id) for query_id in rankings[0]])
    pairs = []
    for query_id in rankings[0]:
        sides = [
            _side(ranking[query_id], texts.get(query_id)) for ranking, texts in zip(rankings, answers, strict=True)
        ]
        if int(query_id) in existing and _differ(*sides):
            pairs.append(
                ComparisonPair(evaluation=evaluation, query_id=int(query_id), champion=sides[0], challenger=sides[1])
            )
    ComparisonPair.objects.bulk_create(pairs, batch_size=500)
    return len(pairs)


def unvoted_pairs(project: Project, user: AbstractBaseUser, release: int | None = None) -> QuerySet[ComparisonPair]:
    """Return the pairs that the person has not voted on, those of the newest evaluation first.

    release: the number of a challenger; only its pairs are returned.
    """
    pairs = finished_pairs(project)
    if release is not None:
        pairs = pairs.filter(evaluation__challenger__number=release)
    return pairs.exclude(votes__voter_id=user.pk).order_by("-evaluation_id", "pk")


def champion_is_a(pair: ComparisonPair, user: AbstractBaseUser) -> bool:
    """Whether side A is the champion for this person: random for each pair, and always the same."""
    return salted_hmac("tuning.voting", f"{pair.pk} {user.pk}").digest()[0] % 2 == 0


def finished_pairs(project: Project) -> QuerySet[ComparisonPair]:
    """Return the project's pairs of evaluations that are done."""
    return ComparisonPair.objects.filter(evaluation__cycle__project=project, evaluation__state=JobState.DONE)


def sides_for(pair: ComparisonPair, user: AbstractBaseUser, own_vote: Vote | None) -> list[Side]:
    """Return sides A and B as this person sees them, with their releases if the person has voted."""
    passages = Passage.objects.in_bulk({*pair.champion["passages"], *pair.challenger["passages"]})
    ordered = [(pair.champion, pair.evaluation.champion), (pair.challenger, pair.evaluation.challenger)]
    if not (own_vote.champion_was_a if own_vote else champion_is_a(pair, user)):
        ordered.reverse()
    return [
        Side(
            letter=letter,
            answer=side["answer"],
            passages=[passages[passage_id] for passage_id in side["passages"] if passage_id in passages],
            release=release if own_vote else None,
        )
        for letter, (side, release) in zip("AB", ordered, strict=True)
    ]


def cast_vote(pair: ComparisonPair, user: AbstractBaseUser, side: str) -> Vote:
    """Store the person's vote: a, b, tie or neither. It cannot be changed. Raises AlreadyVoted, BadVote."""
    is_a = champion_is_a(pair, user)
    choices = {
        A: Vote.Choice.CHAMPION if is_a else Vote.Choice.CHALLENGER,
        B: Vote.Choice.CHALLENGER if is_a else Vote.Choice.CHAMPION,
        Vote.Choice.TIE.value: Vote.Choice.TIE,
        Vote.Choice.NEITHER.value: Vote.Choice.NEITHER,
    }
    if side not in choices:
        raise BadVote(_("Choose A, B, tie, or neither."))
    try:
        with transaction.atomic():
            return Vote.objects.create(pair=pair, voter_id=user.pk, choice=choices[side], champion_was_a=is_a)
    except IntegrityError as error:
        raise AlreadyVoted(_("You have already voted on this pair.")) from error


def _side(hits: list[Any], answer: str | None) -> dict[str, Any]:
    return {"passages": [hit.passage_id for hit in hits[:PASSAGES_PER_SIDE]], "answer": answer}


def _differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one["answer"] is not None and other["answer"] is not None and words(one["answer"]) != words(other["answer"]):
        return True
    return bool(one["passages"] != other["passages"])
