"""The table that a reviewer reads: one row a passage, one column an annotator, names hidden until the decision."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from string import ascii_uppercase

from curation.core.grades import GradeChoice, choice_value, grade_choices
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
from curation.review import adjudication, consensus
from retrieval.models import Passage


@dataclass(frozen=True)
class Column:
    """One annotator's work. name: empty while the review waits."""

    letter: str
    name: str
    assignment: Assignment
    answer: str


@dataclass(frozen=True)
class Cell:
    """One annotator's grade of one passage. grade: the value of a choice, empty for an unjudged passage."""

    letter: str
    grade: str
    evidence: list[str]
    comment: str


@dataclass(frozen=True)
class Row:
    """One passage with everybody's grades.

    is_new: the passage replaces an edited one that was judged. consensus: the grade it gets without a decision of the
    reviewer; None where nobody graded it, and in a review that does not wait.
    """

    passage: Passage
    is_new: bool
    excerpt: Excerpt
    cells: list[Cell]
    gap: int
    is_disputed: bool
    settled: SettledGrade | None
    decided_before: float | None = None
    consensus: SettledGrade | None = None
    suggestion: SuggestedGrade | None = None


@dataclass(frozen=True)
class GradeTable:
    """A review with its rows, widest gap first."""

    review: Review
    columns: list[Column]
    disputed: list[Row]
    agreed: list[Row]
    choices: list[GradeChoice]
    draft: str
    is_waiting: bool


def grade_table(review: Review) -> GradeTable:
    """Build the table of a review with a fixed number of queries.

    Letters are assigned to annotators at random, seeded by the review: the same each time it is shown.
    """
    columns = _columns(review)
    rows = sorted(_rows(review, columns), key=lambda row: -row.gap)
    draft = Draft.objects.filter(ranking__query=review.query_id).order_by("pk").first()
    return GradeTable(
        review=review,
        columns=columns,
        disputed=[row for row in rows if row.is_disputed or row.is_new],
        agreed=[row for row in rows if not (row.is_disputed or row.is_new)],
        choices=grade_choices(review.query.project)[:-1],  # a reviewer has to decide: no "can't tell"
        draft=draft.text if draft else "",
        is_waiting=review.state == Review.State.WAITING,
    )


def _columns(review: Review) -> list[Column]:
    rows = Assignment.objects.filter(query=review.query_id, is_extra=False).select_related("curator")
    assignments = list(rows.filter(state__in=_visible_states(review)).order_by("pk"))
    random.Random(f"review:{review.pk}").shuffle(assignments)
    answers = {answer.assignment_id: answer.text for answer in Answer.objects.filter(assignment__in=assignments)}
    is_decided = review.state != Review.State.WAITING
    return [
        Column(letter, str(row.curator) if is_decided else "", row, answers.get(row.pk, ""))
        for letter, row in zip(ascii_uppercase, assignments, strict=False)
    ]


def _visible_states(review: Review) -> list[str]:
    """Return the states of shown work: submitted; in a returned review also the work that was sent back."""
    states = Assignment.State
    returned = [states.CLAIMED] if review.state == Review.State.RETURNED else []
    return [states.SUBMITTED, *returned]


def _rows(review: Review, columns: list[Column]) -> list[Row]:
    judgements: dict[int, dict[int, Judgement]] = defaultdict(dict)  # passage → assignment → judgement
    assignment_ids = [column.assignment.pk for column in columns]
    for judgement in Judgement.objects.not_withdrawn().filter(assignment__in=assignment_ids):
        judgements[judgement.passage_id][judgement.assignment_id] = judgement
    shown = ShownPassage.objects.filter(ranking__query=review.query_id).values_list("passage_id", flat=True)
    settled = {row.passage_id: row for row in review.grades.all()}
    before = adjudication.earlier_decisions(review) if review.state == Review.State.WAITING else {}
    passages = Passage.objects.select_related("document").in_bulk({*shown, *judgements, *settled, *before})
    replacements = _replacements(review, passages)
    rows = [
        _row(review, passage, columns, judgements[pk], settled.get(pk), is_new=pk in replacements)
        for pk, passage in (passages | replacements).items()
    ]
    suggestions = _suggestions(review)
    consensus_grades = _consensus_grades(review)
    return [
        replace(
            row,
            decided_before=before.get(row.passage.pk),
            consensus=consensus_grades.get(row.passage.pk),
            suggestion=suggestions.get(row.passage.pk),
        )
        for row in rows
    ]


def _consensus_grades(review: Review) -> dict[int, SettledGrade]:
    """Return passage id → the unsaved consensus of a waiting review."""
    if review.state != Review.State.WAITING:
        return {}
    grades = consensus.query_consensus(review.query).grades
    return {pk: consensus.settled_grade(review, pk, grade) for pk, grade in grades.items()}


def _suggestions(review: Review) -> dict[int, SuggestedGrade]:
    """Return passage id → its suggested grade, waiting or confirmed."""
    rows = SuggestedGrade.objects.filter(query=review.query_id)
    states = [SuggestedGrade.State.WAITING, SuggestedGrade.State.CONFIRMED]
    return {suggestion.passage_id: suggestion for suggestion in rows.filter(state__in=states)}


def _replacements(review: Review, passages: dict[int, Passage]) -> dict[int, Passage]:
    """Return the active passages that replace edited ones of a waiting review, without those it shows already."""
    edited = [passage.external_id for passage in passages.values() if passage.retired_at is not None]
    if review.state != Review.State.WAITING or not edited:
        return {}
    active = Passage.objects.active().filter(corpus=review.query.project.corpus_id, external_id__in=edited)
    return {passage.pk: passage for passage in active.select_related("document") if passage.pk not in passages}


def _row(
    review: Review,
    passage: Passage,
    columns: list[Column],
    judgements: dict[int, Judgement],
    settled: SettledGrade | None,
    *,
    is_new: bool,
) -> Row:
    grades = [judgement.grade for judgement in judgements.values() if judgement.grade is not None]
    gap = max(grades) - min(grades) if grades else 0
    return Row(
        passage=passage,
        is_new=is_new,
        excerpt=excerpt(passage.text, review.query.text),
        cells=[_cell(column, passage, judgements.get(column.assignment.pk)) for column in columns],
        gap=gap,
        is_disputed=gap >= review.query.project.review_gap,
        settled=settled,
    )


def _cell(column: Column, passage: Passage, judgement: Judgement | None) -> Cell:
    spans = judgement.evidence if judgement else []
    quotes = [passage.text[start:end] for start, end in spans]
    return Cell(column.letter, choice_value(judgement), quotes, judgement.comment if judgement else "")
