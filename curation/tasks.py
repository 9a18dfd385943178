"""Celery tasks of curation: fetch a row by id, do one act."""

from __future__ import annotations

from celery import shared_task

from common.jobs import enqueue
from curation.annotation import leases, priority
from curation.models import Project, Ranking, Release
from curation.projects import overlap
from curation.propagation import label_propagation
from curation.queries import drafts, intake
from curation.releases import lifecycle

DRAFTS_AHEAD = 5
MAX_FROZEN = 200


@shared_task
def draft(ranking_id: int) -> None:
    """Write the draft of a ranking, unless it has one or was deleted."""
    rankings = Ranking.objects.select_related("query__project", "release__build__encoder", "release__generator")
    ranking = rankings.filter(pk=ranking_id).first()
    if ranking is not None:
        drafts.write_draft(ranking)


@shared_task
def update_queue(project_id: int) -> None:
    """Update a project's queue: suggest grades, set priorities, freeze waiting queries, and enqueue the next drafts.

    Waiting queries are those that were imported before a release was live.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        return
    label_propagation.propagate_grades(project)
    priority.update_priorities(project)
    try:
        intake.freeze_waiting(project, MAX_FROZEN)
    except lifecycle.NoLiveRelease:
        return
    for ranking_id in drafts.rankings_to_draft(project, DRAFTS_AHEAD):
        enqueue(draft, ranking_id, queue="compute")


@shared_task
def adjust_slots(project_id: int) -> None:
    """Open and close slots of a project's open queries after its overlap was changed."""
    project = Project.objects.filter(pk=project_id).first()
    if project is not None:
        overlap.adjust_slots(project)


@shared_task
def expire() -> None:
    """Sweep: free the slots of expired leases, and enqueue work whose message may be lost."""
    leases.expire_overdue()
    for project_id in Project.objects.with_outdated_slots().values_list("pk", flat=True):
        enqueue(adjust_slots, project_id)
    for project_id in Project.objects.filter(releases__state=Release.State.LIVE).values_list("pk", flat=True):
        enqueue(update_queue, project_id, queue="compute")
