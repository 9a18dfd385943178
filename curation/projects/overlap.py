"""Overlap: how many people judge each query, and the slots of open queries that follow it.

A wider overlap opens the missing slots. A narrower one closes slots that nobody holds, and settles queries that
are judged often enough. Settled queries, and assignments that somebody holds, stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce

from curation.annotation import assignments
from curation.core import audit_log
from curation.models import Assignment, Project, Query
from curation.review import consensus

BATCH_SIZE = 500


@transaction.atomic
def set_for_query(query: Query, overlap: int | None, *, actor: AbstractBaseUser) -> None:
    """Let this many people judge the query; None: as many as the project says."""
    row = Query.objects.select_for_update(no_key=True).get(pk=query.pk)
    if row.overlap == overlap:
        return
    was, row.overlap = row.overlap, overlap
    row.save(update_fields=["overlap"])
    data = {"was": was, "now": overlap}
    audit_log.record("overlap_changed", project=row.project_id, actor=actor, query=row, data=data)
    if not _adjust_slots_of(query.project, [row.pk]):
        Project.objects.filter(pk=row.project_id).update(slots_overlap=None)


def adjust_slots(project: Project) -> int:
    """Give each open query as many slots as people are to judge it; return how many queries had another number.

    Safe to run again. The sweep runs it until `project.slots_overlap` equals the overlap. That waits for every
    assignment beyond the overlap that somebody still holds. Queries from before the first release have no slots yet;
    they get them when their ranking is frozen.
    """
    ids = list(_with_other_slots(project).order_by("pk").values_list("pk", flat=True))
    adjusted = [_adjust_slots_of(project, ids[start : start + BATCH_SIZE]) for start in range(0, len(ids), BATCH_SIZE)]
    Project.objects.filter(pk=project.pk).update(slots_overlap=project.overlap if all(adjusted) else None)
    return len(ids)


def _with_other_slots(project: Project) -> QuerySet[Query]:
    """Return the open queries whose number of slots differs from their overlap: one statement, no lock."""
    held = Q(
        assignments__is_extra=False, assignments__is_re_annotation=False, assignments__state__in=Assignment.HOLDING
    )
    queries = project.queries.filter(state=Query.State.OPEN, gold__isnull=True)
    counted = queries.annotate(
        slot_count=Count("assignments", filter=held), people=Coalesce("overlap", project.overlap)
    )
    return counted.filter(slot_count__gt=0).exclude(slot_count=F("people"))


@transaction.atomic
def _adjust_slots_of(project: Project, ids: Sequence[int]) -> bool:
    """Open and close slots; whether every query now has as many as it should. What somebody holds stays."""
    rows = Query.objects.select_for_update(no_key=True).filter(pk__in=ids, gold__isnull=True, state=Query.State.OPEN)
    queries = list(rows.order_by("pk"))
    slots = _slots_of(queries)
    wider = [query for query in queries if 0 < len(slots[query.pk]) < _overlap_of(query, project)]
    assignments.create_open(project, wider)
    narrower = [query for query in queries if len(slots[query.pk]) > _overlap_of(query, project)]
    for query in narrower:
        _close(slots[query.pk], len(slots[query.pk]) - _overlap_of(query, project))
    left = _slots_of(narrower)
    judged = [query for query in narrower if all(row.state == Assignment.State.SUBMITTED for row in left[query.pk])]
    consensus.settle_complete(project, judged)
    surplus = [query for query in narrower if len(left[query.pk]) > _overlap_of(query, project)]
    return not any(row.state == Assignment.State.CLAIMED for query in surplus for row in left[query.pk])


def _overlap_of(query: Query, project: Project) -> int:
    return query.overlap or project.overlap


def _slots_of(queries: Sequence[Query]) -> dict[int, list[Assignment]]:
    """Return query pk → its open, claimed and submitted assignments, in the order of their slots."""
    slots: dict[int, list[Assignment]] = {query.pk: [] for query in queries}
    rows = Assignment.objects.filter(
        query__in=slots, is_extra=False, is_re_annotation=False, state__in=Assignment.HOLDING
    )
    for row in rows.order_by("slot"):
        slots[row.query_id].append(row)
    return slots


def _close(rows: Sequence[Assignment], surplus: int) -> None:
    """Delete up to `surplus` open slots, the last first. A slot that is being claimed or has events stays."""
    free = [row.pk for row in rows if row.state == Assignment.State.OPEN][-surplus:]
    closing = Assignment.objects.open().filter(pk__in=free, events=None)
    locked = closing.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)
    Assignment.objects.filter(pk__in=list(locked)).delete()
