"""Import judgements: settled qrels of one curator, or judgements of several curators that consensus settles.

Judgements name passages by their external id. A document that was chunked into several passages has no passage of
its own id, so a judgement of it is skipped and counted. Where a collection has the grades 0 and 1 only, its 1 means
that the passage answers the query, and becomes 3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from common.batches import MAX_PARAMETERS, batches
from common.text_files import BadInput
from curation.annotation.assignments import build_submitted
from curation.exchange import file_formats, lookups
from curation.exchange.file_formats import JudgementRow
from curation.exchange.import_result import ImportResult, record_import
from curation.exchange.lookups import PassageId
from curation.models import Answer, Assignment, Judgement, Project, Query, Review, SettledGrade
from curation.review import consensus

MAX_GRADE = 3
BATCH_SIZE = 2000


@transaction.atomic
def import_qrels(
    project: Project,
    rows: Sequence[JudgementRow],
    curator: str,
    answers: Mapping[str, str] | None = None,
    *,
    without_text: Collection[str] = (),
) -> ImportResult:
    """Import settled judgements of one curator, and settled answers to the judged queries.

    without_text: ids of documents that the corpus lacks because they have no text; their judgements are skipped.
    Judgements of settled queries, and of queries that people have started, are skipped. Raises BadInput.
    """
    rows, notes = _rescale_binary(rows)
    queries = lookups.queries_of(project, rows)
    passages, chunked = lookups.passages_of(project, rows, without_text)
    started = lookups.started_queries(queries.values())
    by_query: dict[str, dict[str, JudgementRow]] = {}
    for row in rows:
        if row.corpus_id in passages:
            _add_unique(by_query.setdefault(row.query_id, {}), row)
    settled = [
        _SettledQuery(queries[name], list(own_rows.values()), (answers or {}).get(name, ""))
        for name, own_rows in by_query.items()
        if queries[name].pk not in started
    ]
    person = lookups.get_or_create_curator(project, curator)
    _write_settled(project, person, settled, passages)
    judgements = sum(len(query.rows) for query in settled)
    result = ImportResult(
        judgements=judgements,
        answers=sum(bool(query.answer) for query in settled),
        skipped=len(rows) - judgements,
        notes=notes + _chunked_note(chunked),
    )
    if settled:
        record_import(project, person, result)
    return result


@transaction.atomic
def import_judgements(project: Project, path: Path) -> ImportResult:
    """Import judgements of several curators as if they had submitted them here; overlap and consensus settle them.

    Rows: {"query_id", "corpus_id", "curator", "grade", "comment"?}; grade null means can't tell. A query with more
    curators than its overlap keeps them all; a query with fewer waits for the others. Rows of queries that are no
    longer open, and of people who already had the query, are skipped. Raises BadInput.
    """
    rows = list(file_formats.read_judgements(path))
    queries = lookups.queries_of(project, rows)
    passages, chunked = lookups.passages_of(project, rows)
    by_assignment: dict[tuple[str, str], dict[str, JudgementRow]] = {}
    for row in rows:
        if row.corpus_id in passages:
            _add_unique(by_assignment.setdefault((row.query_id, row.curator), {}), row)
    people = {name: lookups.get_or_create_curator(project, name) for name in sorted({row.curator for row in rows})}
    slots = _SlotAllocation(queries.values())
    submitted = []
    for (query_id, curator), own_rows in by_assignment.items():
        query, person = queries[query_id], people[curator]
        if query.state == Query.State.OPEN and not slots.has_had(query, person):
            submitted.append((slots.allocate(query, person), list(own_rows.values())))
    judgements = _write_submitted(project, slots, submitted, passages)
    judged = list({assignment.query_id: assignment.query for assignment, _rows in submitted}.values())
    consensus.settle_complete(project, judged)
    result = ImportResult(judgements=judgements, skipped=len(rows) - judgements, notes=_chunked_note(chunked))
    if judgements:
        record_import(project, None, result)
    return result


@dataclass(frozen=True)
class _SettledQuery:
    query: Query
    rows: list[JudgementRow]
    answer: str


class _SlotAllocation:
    """Slots of the queries: allocated one by one in memory, written at once."""

    def __init__(self, queries: Iterable[Query]) -> None:
        self.queries = {query.pk: query for query in queries}
        self.open_rows: dict[int, dict[int, int]] = {pk: {} for pk in self.queries}  # query → slot → open assignment
        self.filled_slots: dict[int, set[int]] = {pk: set() for pk in self.queries}
        self.had: set[tuple[int, int]] = set()  # (query, person)
        self.replaced_rows: list[int] = []
        assignments = Assignment.objects.filter(is_re_annotation=False)
        rows = assignments.values_list("pk", "query_id", "slot", "state", "curator_id", "is_extra")
        for query_ids in batches(self.queries):
            for pk, query_id, slot, state, curator_id, is_extra in rows.filter(query__in=query_ids):
                if curator_id is not None:
                    self.had.add((query_id, curator_id))
                if state == Assignment.State.OPEN:
                    self.open_rows[query_id][slot] = pk
                elif state in Assignment.HOLDING and not is_extra:
                    self.filled_slots[query_id].add(slot)

    def has_had(self, query: Query, person: User) -> bool:
        """Whether the person has held the query, or was allocated one of its slots."""
        return (query.pk, person.pk) in self.had

    def allocate(self, query: Query, person: User) -> Assignment:
        """Return a submitted assignment in the first free slot; it replaces the open assignment of that slot."""
        filled = self.filled_slots[query.pk]
        slot = next(number for number in range(1, len(filled) + 2) if number not in filled)
        filled.add(slot)
        self.had.add((query.pk, person.pk))
        if slot in self.open_rows[query.pk]:
            self.replaced_rows.append(self.open_rows[query.pk].pop(slot))
        return build_submitted(query, person, slot)

    def write(self, project: Project, assignments: Sequence[Assignment]) -> None:
        """Write the assignments, and raise the overlap of queries that have more of them."""
        for ids in batches(self.replaced_rows):
            Assignment.objects.filter(pk__in=ids).delete()
        Assignment.objects.bulk_create(assignments, batch_size=BATCH_SIZE)
        wider = [
            query
            for query in self.queries.values()
            if len(self.filled_slots[query.pk]) > (query.overlap or project.overlap)
        ]
        for query in wider:
            query.overlap = len(self.filled_slots[query.pk])
        Query.objects.bulk_update(wider, ["overlap"], batch_size=MAX_PARAMETERS)


def _write_settled(
    project: Project, person: User, settled: Sequence[_SettledQuery], passages: Mapping[str, PassageId]
) -> None:
    """Write assignments, judgements, answers, reviews and settled grades; the queries' open slots are removed."""
    query_ids = [one.query.pk for one in settled]
    for ids in batches(query_ids):
        Assignment.objects.open().filter(query__in=ids).delete()
    assignments = Assignment.objects.bulk_create(
        (build_submitted(one.query, person, 1, _order(one.rows, passages)) for one in settled),
        batch_size=BATCH_SIZE,
    )
    _write_judgements(zip(assignments, (one.rows for one in settled), strict=True), passages)
    Answer.objects.bulk_create(
        (
            Answer(assignment=assignment, query=one.query, curator_id=person.pk, text=one.answer)
            for assignment, one in zip(assignments, settled, strict=True)
            if one.answer
        ),
        batch_size=BATCH_SIZE,
    )
    _write_reviews(settled, passages)


def _write_reviews(settled: Sequence[_SettledQuery], passages: Mapping[str, PassageId]) -> None:
    now, state = timezone.now(), Review.State.SETTLED
    reviews = Review.objects.bulk_create(
        (Review(query=one.query, state=state, answer=one.answer, decided_at=now) for one in settled),
        batch_size=BATCH_SIZE,
    )
    method = SettledGrade.Method.SOLE
    SettledGrade.objects.bulk_create(
        (
            SettledGrade(review=review, passage_id=passages[row.corpus_id].pk, grade=row.grade or 0, method=method)
            for review, one in zip(reviews, settled, strict=True)
            for row in one.rows
        ),
        batch_size=BATCH_SIZE,
    )
    for ids in batches([one.query.pk for one in settled]):
        Query.objects.filter(pk__in=ids).update(state=Query.State.SETTLED, settled_at=now, propagated_at=None)


def _write_submitted(
    project: Project,
    slots: _SlotAllocation,
    submitted: Sequence[tuple[Assignment, list[JudgementRow]]],
    passages: Mapping[str, PassageId],
) -> int:
    """Write the submitted assignments with their judgements; return the number of judgements."""
    for assignment, rows in submitted:
        assignment.order = _order(rows, passages)
    slots.write(project, [assignment for assignment, _rows in submitted])
    return _write_judgements(submitted, passages)


def _write_judgements(
    assignments: Iterable[tuple[Assignment, Sequence[JudgementRow]]], passages: Mapping[str, PassageId]
) -> int:
    judgements = [
        Judgement(
            assignment=assignment,
            query_id=assignment.query_id,
            passage_id=passages[row.corpus_id].pk,
            content_hash=passages[row.corpus_id].content_hash,
            curator_id=_curator_id(assignment),
            grade=row.grade,
            comment=row.comment,
        )
        for assignment, rows in assignments
        for row in rows
    ]
    return len(Judgement.objects.bulk_create(judgements, batch_size=BATCH_SIZE))


def _curator_id(assignment: Assignment) -> int:
    assert assignment.curator_id is not None  # it is submitted
    return assignment.curator_id


def _order(rows: Sequence[JudgementRow], passages: Mapping[str, PassageId]) -> list[int]:
    return [passages[row.corpus_id].pk for row in rows]


def _rescale_binary(rows: Sequence[JudgementRow]) -> tuple[Sequence[JudgementRow], tuple[str, ...]]:
    """Return the rows with grade 3 for 1, and a note, where the highest grade is 1; otherwise unchanged."""
    if not rows or max(row.grade or 0 for row in rows) != 1:
        return rows, ()
    rescaled = [replace(row, grade=MAX_GRADE) if row.grade else row for row in rows]
    return rescaled, (_("The collection has the grades 0 and 1 only: its 1 was imported as 3, “Answers”."),)


def _add_unique(rows: dict[str, JudgementRow], row: JudgementRow) -> None:
    """Add the row under its passage. Raises BadInput where the passage has another grade already."""
    first = rows.setdefault(row.corpus_id, row)
    if first.grade != row.grade:
        raise BadInput(
            row.file, row.line, _("a second grade for the same pair; line %(n)d has another") % {"n": first.line}
        )


def _chunked_note(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (_("%(n)d judgements name a document that was chunked into passages, and were skipped.") % {"n": count},)
