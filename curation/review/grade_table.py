"""What a reviewer sees of one query: everybody's grades of each passage in columns, names hidden until decided."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from string import ascii_uppercase

from curation.annotation.judge_page import Choice, choices_of, chosen
from curation.engine.text.excerpts import Excerpt, excerpt
from curation.models import (
    Answer,
    Assignment,
    Draft,
    Judgement,
    Review,
    SettledGrade,
    ShownPassage,
    SuggestedGrade,
)
from curation.review import consensus
from retrieval.models import Passage


@dataclass(frozen=True)
class Column:
    """One person's work."""

    letter: str
    name: str
    assignment: Assignment
    answer: str


@dataclass(frozen=True)
class Cell:
    """One person's grade of one passage; empty when they did not judge it."""

    letter: str
    grade: str
    evidence: list[str]
    comment: str


@dataclass(frozen=True)
class Row:
    """One passage with everybody's grades. is_new: the text that took the place of one that was judged."""

    passage: Passage
    is_new: bool
    excerpt: Excerpt
    cells: list[Cell]
    gap: int
    is_disputed: bool
    settled: SettledGrade | None
    decided_before: float | None = None
    offer: SuggestedGrade | None = None


@dataclass(frozen=True)
class SideBySide:
    """A review, ready to be shown; rows with the widest gap first."""

    review: Review
    columns: list[Column]
    disputed: list[Row]
    agreed: list[Row]
    choices: list[Choice]
    draft: str
    is_waiting: bool


def side_by_side(review: Review) -> SideBySide:
    """Read with a fixed number of queries. Letters are dealt by lot, the same for every look at one review."""
    columns = _columns(review)
    rows = sorted(_rows(review, columns), key=lambda row: -row.gap)
    draft = Draft.objects.filter(ranking__query=review.query_id).order_by("pk").first()
    return SideBySide(
        review=review,
        columns=columns,
        disputed=[row for row in rows if row.is_disputed or row.is_new],
        agreed=[row for row in rows if not (row.is_disputed or row.is_new)],
        choices=choices_of(review.query.project)[:-1],
        draft=draft.text if draft else "",
        is_waiting=review.state == Review.State.WAITING,
    )


def _columns(review: Review) -> list[Column]:
    work = Assignment.objects.filter(query=review.query_id, is_extra=False).select_related("curator")
    mine = list(work.filter(state__in=_shown_states(review)).order_by("pk"))
    random.Random(f"review:{review.pk}").shuffle(mine)
    answers = {answer.assignment_id: answer.text for answer in Answer.objects.filter(assignment__in=mine)}
    is_decided = review.state != Review.State.WAITING
    return [
        Column(letter, str(row.curator) if is_decided else "", row, answers.get(row.pk, ""))
        for letter, row in zip(ascii_uppercase, mine, strict=False)
    ]


def _shown_states(review: Review) -> list[str]:
    """Submitted work; of a returned review also the one that went back to its curator."""
    states = Assignment.State
    returned = [states.CLAIMED] if review.state == Review.State.RETURNED else []
    return [states.SUBMITTED, *returned]


def _rows(review: Review, columns: list[Column]) -> list[Row]:
    by_passage: dict[int, dict[int, Judgement]] = defaultdict(dict)
    work = [column.assignment.pk for column in columns]
    for judgement in Judgement.objects.standing().filter(assignment__in=work):
        by_passage[judgement.passage_id][judgement.assignment_id] = judgement
    shown = ShownPassage.objects.filter(ranking__query=review.query_id).values_list("passage_id", flat=True)
    settled = {row.passage_id: row for row in review.grades.all()}
    before = consensus.decided_before(review) if review.state == Review.State.WAITING else {}
    passages = Passage.objects.select_related("document").in_bulk({*shown, *by_passage, *settled, *before})
    fresh = _new_texts(review, passages)
    rows = [
        _row(review, passage, columns, by_passage[pk], settled.get(pk), is_new=pk in fresh)
        for pk, passage in (passages | fresh).items()
    ]
    offers = _offers(review)
    return [replace(row, decided_before=before.get(row.passage.pk), offer=offers.get(row.passage.pk)) for row in rows]


def _offers(review: Review) -> dict[int, SuggestedGrade]:
    """Passage → the grade that was passed on to it, waiting or confirmed."""
    found = SuggestedGrade.objects.filter(query=review.query_id)
    states = [SuggestedGrade.State.WAITING, SuggestedGrade.State.CONFIRMED]
    return {offer.passage_id: offer for offer in found.filter(state__in=states)}


def _new_texts(review: Review, passages: dict[int, Passage]) -> dict[int, Passage]:
    """What stands now where passages of a waiting review were edited since, unless it is among them already."""
    edited = [passage.external_id for passage in passages.values() if passage.retired_at is not None]
    if review.state != Review.State.WAITING or not edited:
        return {}
    now = Passage.objects.active().filter(corpus=review.query.project.corpus_id, external_id__in=edited)
    return {passage.pk: passage for passage in now.select_related("document") if passage.pk not in passages}


def _row(
    review: Review,
    passage: Passage,
    columns: list[Column],
    given: dict[int, Judgement],
    settled: SettledGrade | None,
    *,
    is_new: bool,
) -> Row:
    grades = [judgement.grade for judgement in given.values() if judgement.grade is not None]
    gap = max(grades) - min(grades) if grades else 0
    return Row(
        passage=passage,
        is_new=is_new,
        excerpt=excerpt(passage.text, review.query.text),
        cells=[_cell(column, passage, given.get(column.assignment.pk)) for column in columns],
        gap=gap,
        is_disputed=gap >= review.query.project.review_gap,
        settled=settled,
    )


def _cell(column: Column, passage: Passage, judgement: Judgement | None) -> Cell:
    spans = judgement.evidence if judgement else []
    quotes = [passage.text[start:end] for start, end in spans]
    return Cell(column.letter, chosen(judgement), quotes, judgement.comment if judgement else "")
