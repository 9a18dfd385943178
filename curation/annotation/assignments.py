"""Assignments: the rows of work for people. They are created here and nowhere else.

A query has one slot for each person who judges it. A slot is filled by one row at most: open, claimed or submitted.
Rows that end without a submit stay as a record, and a fresh open row takes their slot.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import models, transaction
from django.db.models import Case, Max, When
from django.utils import timezone
from django.utils.translation import gettext as _

from common.batches import batches
from curation.annotation import hot_reads
from curation.core.errors import CurationError
from curation.core.labels import Reason
from curation.models import Assignment, Project, Query, Ranking
from curation.queries import evaluation_sample, stratified_order

_BATCH_SIZE = 200

State, Selection = Assignment.State, Assignment.Selection


class NotYourAssignment(CurationError):
    """The assignment belongs to another person, to nobody, or does not exist."""


class NotClaimed(CurationError):
    """The assignment is not claimed."""


class AlreadyAssigned(CurationError):
    """The person has had this query: nobody gets one twice."""


def on_queries_ready(sender: type[Query], *, project: Project, queries: Sequence[Query], **signal: object) -> None:
    """Receive `queries_ready`: create the assignments of new queries, in its transaction."""
    create_open(project, queries)


@transaction.atomic
def create_open(project: Project, queries: Sequence[Query]) -> list[Assignment]:
    """Create an open assignment for each slot of these queries that no assignment fills.

    A query without any assignment is new: it may be drawn into the evaluation sample, and it gets the next key of its
    stratum in the random order. The slots of one query have the same key. Gold questions get no assignment.
    """
    slots = _filled_slots(queries)
    rankings = _newest_rankings(queries)
    new = [query for query in queries if query.pk not in slots and query.gold is None]
    evaluation_sample.draw(project, new)
    random_keys = stratified_order.assign_keys(project, new, rankings)
    rows = []
    for query in queries:
        random_key = random_keys[query.pk] if query.pk in random_keys else random.random()
        place = {"project": project, "query": query, "ranking_id": rankings.get(query.pk), "random_key": random_key}
        overlap = (query.overlap or project.overlap) if query.gold is None else 0
        missing = set(range(1, overlap + 1)) - slots.get(query.pk, set())
        rows += [Assignment(**place, slot=slot) for slot in sorted(missing)]
    return Assignment.objects.bulk_create(rows, batch_size=2000)


def create_for_re_annotation(
    query: Query, ranking: Ranking, passage_ids: Sequence[int], priority: float, reasons: Sequence[Reason]
) -> list[Assignment]:
    """Create open assignments that ask for these passages alone, as many as people judge the query."""
    last_slot = Assignment.objects.filter(query=query, is_extra=False).aggregate(last=Max("slot"))["last"] or 0
    random_key = random.random()
    return Assignment.objects.bulk_create(
        Assignment(
            project=query.project,
            query=query,
            ranking=ranking,
            order=list(passage_ids),
            slot=last_slot + number,
            is_re_annotation=True,
            random_key=random_key,
            priority=priority,
            reasons=list(reasons),
        )
        for number in range(1, (query.overlap or query.project.overlap) + 1)
    )


def build_submitted(
    query: Query, user: AbstractBaseUser, slot: int, passage_ids: Sequence[int] = (), *, at: datetime | None = None
) -> Assignment:
    """Build the unsaved row of work that was done elsewhere: submitted, in this slot of the query."""
    now = at or timezone.now()
    return Assignment(
        project_id=query.project_id,
        query=query,
        slot=slot,
        state=State.SUBMITTED,
        curator_id=user.pk,
        random_key=random.random(),
        order=list(passage_ids),
        claimed_at=now,
        submitted_at=now,
    )


def create_confirmed(query: Query, user: AbstractBaseUser, passage_ids: Sequence[int]) -> Assignment:
    """Create the submitted row that a person's confirmed suggestions belong to. It fills no slot."""
    row = build_submitted(query, user, 0, passage_ids)
    row.is_extra, row.selection, row.random_key = True, Selection.CONFIRMED, 0.0
    row.save()
    return row


def build_gold(project: Project, query: Query) -> Assignment:
    """Build the unsaved open row of a gold question. It fills no slot."""
    return Assignment(project=project, query=query, slot=0, is_extra=True, state=State.OPEN)


def build_replacement(row: Assignment) -> Assignment:
    """Build the unsaved open row for the slot that this one leaves, at the same place of the queue."""
    keeps_reasons = row.selection == Selection.PRIORITY or row.is_re_annotation
    return Assignment(
        project_id=row.project_id,
        query_id=row.query_id,
        slot=row.slot,
        ranking_id=row.ranking_id,
        is_re_annotation=row.is_re_annotation,
        order=row.order if row.is_re_annotation else [],
        priority=row.priority,
        random_key=row.random_key,
        reasons=row.reasons if keeps_reasons else [],
        reason_text=row.reason_text if row.selection == Selection.PRIORITY else "",
    )


def lock(assignment: Assignment) -> Assignment:
    """Read the assignment again, locked until the transaction ends. It gets the caller's project object.

    The row has to belong to the curator and the project that the argument names; see `reference`. Raises
    NotYourAssignment where there is no such row.
    """
    row = hot_reads.locked_assignment.first(assignment.pk)
    if row is None or (row.curator_id, row.project_id) != (assignment.curator_id, assignment.project_id):
        raise NotYourAssignment(_("This assignment is not yours."))
    row.project = assignment.project
    return row


def reference(project: Project, user: AbstractBaseUser, assignment_id: int) -> Assignment:
    """Build an unread assignment for an act that locks and reads it, and checks that it is the person's."""
    return Assignment(pk=assignment_id, project=project, curator_id=user.pk)


def own_assignment(user: AbstractBaseUser, assignment_id: int) -> Assignment:
    """Return the person's assignment with its project and query. Raises NotYourAssignment."""
    rows = Assignment.objects.select_related("project", "query")
    row = rows.filter(pk=assignment_id, curator_id=user.pk).first()
    if row is None:
        raise NotYourAssignment(_("This assignment is not yours."))
    return row


def take_free_slot(row: Assignment) -> bool:
    """Give a free slot of the query to the row, its own slot first; false where every slot is filled.

    The caller has locked the row and saves it afterwards. The open row of the slot is deleted. Slots that others are
    taking at this moment are skipped: people who wait for each other's slots could deadlock.
    """
    own_first = Case(When(slot=row.slot, then=0), default=1, output_field=models.IntegerField())
    slots = Assignment.objects.open().filter(query=row.query_id, is_re_annotation=row.is_re_annotation)
    if row.is_re_annotation:
        slots = slots.filter(ranking=row.ranking_id)
    slots = slots.order_by(own_first, "slot")
    free = slots.select_for_update(skip_locked=True, of=("self",)).first()
    if free is None:
        return False
    row.slot, row.is_extra = free.slot, False
    free.delete()
    return True


@transaction.atomic
def set_priority(query: Query, priority: float, reasons: Sequence[Reason]) -> int:
    """Set priority and reasons of the query's open assignments; return how many there are.

    Queries of the evaluation sample keep priority 0, so that the sample stays random.
    """
    if query.is_evaluation:
        return 0
    return (
        Assignment.objects.open().filter(query=query).update(priority=priority, reasons=list(reasons), reason_text="")
    )


def _filled_slots(queries: Sequence[Query]) -> dict[int, set[int]]:
    """Return query id → the slots that a row fills; queries without such a row are left out."""
    filled: dict[int, set[int]] = {}
    rows = Assignment.objects.filter(is_extra=False, state__in=Assignment.HOLDING)
    for ids in batches([query.pk for query in queries], _BATCH_SIZE):
        for query_id, slot in rows.filter(query__in=ids).values_list("query_id", "slot"):
            filled.setdefault(query_id, set()).add(slot)
    return filled


def _newest_rankings(queries: Sequence[Query]) -> dict[int, int]:
    """Return query id → ranking id."""
    newest: dict[int, int] = {}
    for ids in batches([query.pk for query in queries], _BATCH_SIZE):
        newest |= dict(Ranking.objects.filter(query__in=ids).order_by("pk").values_list("query_id", "pk"))
    return newest
