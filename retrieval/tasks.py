"""Celery's part of indexing."""

from __future__ import annotations

from celery import shared_task

from common.jobs import enqueue, worker_name
from retrieval.index import index_builds
from retrieval.models import IndexBuild


@shared_task
def build(build_id: int) -> None:
    """Build what is queued. Safe to be sent twice: the row is claimed once, and the reason of a failure is in it."""
    row = IndexBuild.objects.filter(pk=build_id).first()
    if row is None:
        return
    try:
        index_builds.build(row, worker=worker_name())
    except (index_builds.CannotBuild, index_builds.ClaimLost):
        return


@shared_task
def take_up_lost() -> None:
    """Send again what lost its worker or its message."""
    for row in index_builds.take_up_lost():
        enqueue(build, row.pk, queue="compute")
