"""Celery's side of curation: fetch by id, do one act."""

from __future__ import annotations

from celery import shared_task

from common.jobs import enqueue
from curation.annotation import assignments, priority
from curation.models import Project, Ranking
from curation.projects import project_settings
from curation.propagation import label_propagation
from curation.queries import intake
from curation.releases import lifecycle

DRAFTS_AHEAD = 5
FROZEN_AT_ONCE = 200


@shared_task
def draft(ranking_id: int) -> None:
    """Write the draft of a ranking; nothing when the ranking is gone or has one."""
    ranking = Ranking.objects.select_related("query__project", "release__build__encoder", "release__generator")
    found = ranking.filter(pk=ranking_id).first()
    if found is not None:
        intake.draft(found)


@shared_task
def take_up(project_id: int) -> None:
    """What a project's queue needs every little while.

    Pass grades on, value what has a reason to be, freeze queries that came before anything served, and have the next
    drafts written.
    """
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        return
    label_propagation.offer_all(project)
    priority.revalue(project)
    try:
        intake.take_up(project, FROZEN_AT_ONCE)
    except lifecycle.NothingServes:
        return
    for ranking_id in intake.undrafted(project, DRAFTS_AHEAD):
        enqueue(draft, ranking_id, queue="compute")


@shared_task
def follow_overlap(project_id: int) -> None:
    """Open and close the slots of a project's open queries, after its overlap was changed."""
    project = Project.objects.filter(pk=project_id).first()
    if project is not None:
        project_settings.follow_overlap(project)


@shared_task
def expire() -> None:
    """The sweep: free what lapsed, and take up what no message announced."""
    assignments.expire()
    for project_id in Project.objects.with_other_slots().values_list("pk", flat=True):
        enqueue(follow_overlap, project_id)
    for project_id in Project.objects.filter(releases__state="serving").values_list("pk", flat=True):
        enqueue(take_up, project_id, queue="compute")
