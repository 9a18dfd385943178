"""Cycle schedule: start a training cycle when a policy's conditions on new work and on time are met."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from common.jobs import JobState
from curation.models import Release
from tuning.cycles import training_cycle
from tuning.models import Cycle, Policy


def is_due(policy: Policy, now: datetime | None = None) -> bool:
    """Whether the policy starts a cycle now.

    New work was settled since the start of the last cycle that was not cancelled, also when that cycle failed: on the
    same work it would fail again.
    """
    now = now or timezone.now()
    if not policy.is_active or Cycle.objects.unfinished().filter(project=policy.project).exists():
        return False
    if not Release.objects.live().filter(project=policy.project).exists():
        return False
    last = policy.project.cycles.exclude(state=JobState.CANCELLED).order_by("-created_at").first()
    if last is not None and last.created_at > now - timedelta(hours=policy.min_hours_between):
        return False
    return count_new_queries(policy, last) >= policy.min_new_queries


def count_new_queries(policy: Policy, last: Cycle | None) -> int:
    """Return the number of queries settled since the start of the last cycle; of all settled ones without a cycle."""
    since = Q() if last is None else Q(settled_at__gt=last.created_at)
    return policy.project.queries.settled().filter(since).count()


def start_due(now: datetime | None = None) -> list[Cycle]:
    """Start a cycle for every policy that is due, and return the queued cycles."""
    started = []
    for policy in Policy.objects.filter(is_active=True).select_related("project"):
        if not is_due(policy, now):
            continue
        try:
            started.append(
                training_cycle.start(policy.project, only=policy.only, gate=policy.gate, settings=policy.settings)
            )
        except training_cycle.CycleInProgress:  # one was started by hand since the check
            continue
    return started
