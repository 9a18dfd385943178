"""The rules of a project change: each change is a line of the record, and the slots of open queries follow them.

A wider overlap opens the slots that are missing, or a query would wait for people whom nobody asks; a narrower one
closes slots that nobody holds. What is settled, and what somebody has in hand, stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce

from curation.core import audit_log
from curation.models import Assignment, Guidelines, Project, Query
from curation.queries import intake
from curation.review import consensus

AT_ONCE = 500


@transaction.atomic
def change(project: Project, wanted: Mapping[str, object], *, actor: AbstractBaseUser) -> None:
    """These settings from now on; what was and what is stands in the record."""
    row = Project.objects.select_for_update().get(pk=project.pk)
    was = {name: getattr(row, name) for name in wanted if getattr(row, name) != wanted[name]}
    if not was:
        return
    now = {name: wanted[name] for name in was}
    for name, value in now.items():
        setattr(row, name, value)
    row.save(update_fields=list(now))
    audit_log.note("settings_changed", project=row, actor=actor, data={"was": was, "now": now})


@transaction.atomic
def write_guidelines(project: Project, text: str, *, actor: AbstractBaseUser) -> Guidelines:
    """The next version; the one there is when the text is the same."""
    Project.objects.select_for_update().get(pk=project.pk)  # two versions at once would be one number
    last = project.guidelines.first()
    if last is not None and last.text == text:
        return last
    written = Guidelines.objects.create(project=project, version=last.version + 1 if last else 1, text=text)
    audit_log.note("guidelines_written", project=project, actor=actor, data={"version": written.version})
    return written


@transaction.atomic
def set_overlap(query: Query, overlap: int | None, *, actor: AbstractBaseUser) -> None:
    """So many people judge this query; None: as many as the project says."""
    row = Query.objects.select_for_update(no_key=True).get(pk=query.pk)
    if row.overlap == overlap:
        return
    was, row.overlap = row.overlap, overlap
    row.save(update_fields=["overlap"])
    data = {"was": was, "now": overlap}
    audit_log.note("overlap_changed", project=row.project_id, actor=actor, query=row, data=data)
    if not _follow(query.project, [row.pk]):
        Project.objects.filter(pk=row.project_id).update(slots_overlap=None)


def follow_overlap(project: Project) -> int:
    """Give each open query as many slots as people are to judge it; how many queries had more or fewer.

    Safe to run again, and the sweep asks for it until the project says that its slots follow: not while somebody
    holds one too many, which opens again when the lease ends. Queries that came before anything served have no slots
    yet; they get theirs when they are frozen.
    """
    ids = list(_with_other_slots(project).order_by("pk").values_list("pk", flat=True))
    followed = [_follow(project, ids[start : start + AT_ONCE]) for start in range(0, len(ids), AT_ONCE)]
    Project.objects.filter(pk=project.pk).update(slots_overlap=project.overlap if all(followed) else None)
    return len(ids)


def _with_other_slots(project: Project) -> QuerySet[Query]:
    """Open queries that have another number of slots than people are to judge them: one statement, no lock."""
    held = Q(assignments__is_extra=False, assignments__is_re_annotation=False, assignments__state__in=Assignment.HOLDING)
    queries = project.queries.filter(state=Query.State.OPEN, gold__isnull=True)
    counted = queries.annotate(filled=Count("assignments", filter=held), wanted=Coalesce("overlap", project.overlap))
    return counted.filter(filled__gt=0).exclude(filled=F("wanted"))


@transaction.atomic
def _follow(project: Project, ids: Sequence[int]) -> bool:
    """Whether all of them follow now; what somebody holds beyond the overlap stays until they are done with it."""
    rows = Query.objects.select_for_update(no_key=True).filter(pk__in=ids, gold__isnull=True, state=Query.State.OPEN)
    queries = list(rows.order_by("pk"))
    held = _slots(queries)
    wider = [query for query in queries if 0 < len(held[query.pk]) < _wanted(query, project)]
    intake.open_slots_of(project, wider)
    narrower = [query for query in queries if len(held[query.pk]) > _wanted(query, project)]
    for query in narrower:
        _close(held[query.pk], len(held[query.pk]) - _wanted(query, project))
    left = _slots(narrower)
    done = [query for query in narrower if all(row.state == Assignment.State.SUBMITTED for row in left[query.pk])]
    consensus.consider_many(project, done)
    surplus = [query for query in narrower if len(left[query.pk]) > _wanted(query, project)]
    return not any(row.state == Assignment.State.CLAIMED for query in surplus for row in left[query.pk])


def _wanted(query: Query, project: Project) -> int:
    return query.overlap or project.overlap


def _slots(queries: Sequence[Query]) -> dict[int, list[Assignment]]:
    """What fills each query's slots, or waits to."""
    found: dict[int, list[Assignment]] = {query.pk: [] for query in queries}
    rows = Assignment.objects.filter(
        query__in=found, is_extra=False, is_re_annotation=False, state__in=Assignment.HOLDING
    )
    for row in rows.order_by("slot"):
        found[row.query_id].append(row)
    return found


def _close(rows: Sequence[Assignment], surplus: int) -> None:
    """Remove open slots, the last first; one that is being claimed, or that the record speaks of, stays."""
    free = [row.pk for row in rows if row.state == Assignment.State.OPEN][-surplus:]
    closing = Assignment.objects.open().filter(pk__in=free, events=None)
    locked = closing.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)
    Assignment.objects.filter(pk__in=list(locked)).delete()
