"""Is there enough new feedback for a cycle, and has the last one been long enough ago?"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from common.jobs import JobState
from curation.models import Release
from tuning.cycles import training_cycle
from tuning.models import Cycle, Policy


def due(policy: Policy, now: datetime | None = None) -> bool:
    """Whether the policy asks for a cycle now.

    New is what was settled since the last cycle that was not cancelled began, whatever came of that cycle:
    one that failed for a reason would only fail again on the same work.
    """
    now = now or timezone.now()
    if not policy.is_active or Cycle.objects.unfinished().filter(project=policy.project).exists():
        return False
    if not Release.objects.serving().filter(project=policy.project).exists():
        return False
    last = policy.project.cycles.exclude(state=JobState.CANCELLED).order_by("-created_at").first()
    if last is not None and last.created_at > now - timedelta(hours=policy.min_hours_between):
        return False
    return new_queries(policy, last) >= policy.min_new_queries


def new_queries(policy: Policy, last: Cycle | None) -> int:
    """Queries settled since the cycle began; all that are settled when there was none."""
    since = Q() if last is None else Q(settled_at__gt=last.created_at)
    return policy.project.queries.settled().filter(since).count()


def start_due(now: datetime | None = None) -> list[Cycle]:
    """A queued cycle for every policy that asks for one."""
    started = []
    for policy in Policy.objects.filter(is_active=True).select_related("project"):
        if not due(policy, now):
            continue
        try:
            started.append(
                training_cycle.start(policy.project, only=policy.only, gate=policy.gate, settings=policy.settings)
            )
        except training_cycle.CycleInProgress:  # somebody started one this very moment
            continue
    return started
