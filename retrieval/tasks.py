"""Celery tasks of the index: build what is queued."""

from __future__ import annotations

from celery import shared_task

from common.heartbeat import ClaimLost
from common.jobs import worker_name
from retrieval.index import index_builds
from retrieval.models import IndexBuild


@shared_task  # Celery has no types
def build(build_id: int) -> None:
    """Build a queued index. Safe to be sent twice: the row is claimed once, and it stores the reason of a failure."""
    row = IndexBuild.objects.filter(pk=build_id).first()
    if row is None:
        return
    try:
        index_builds.build(row, worker=worker_name())
    except (index_builds.BuildError, ClaimLost):
        return
