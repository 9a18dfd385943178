"""Recovery of lost jobs: those whose worker stopped, and those whose message the broker lost.

The database row of a job is the truth and the message in the queue a hint. So a periodic task calls `recover` for
each kind of job and sends the message of every job that it returns. A message that comes twice does no harm, because
a job is claimed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from django.utils import timezone

from common.jobs import Job, JobQuerySet, JobState
from common.messages import StrOrMessage, message

J = TypeVar("J", bound=Job)


def recover(
    model: type[J],
    *,
    reason: Callable[[J], StrOrMessage] = lambda job: message("worker_silent"),
    on_failure: Callable[[J], None] = lambda job: None,
) -> list[J]:
    """Queue the jobs of lost workers again, and return the queued jobs whose message has to be sent now.

    A running job without a heartbeat for STALE_SECONDS is queued again with its `reason`; after MAX_ATTEMPTS it fails
    with it, and `on_failure` is called. A queued job is returned once per STALE_SECONDS, because its message may be
    waiting behind longer work. Safe to run in several processes at once: each job is returned by one of them.
    """
    jobs = cast(JobQuerySet, model._default_manager.all())
    for job in jobs.stale():
        if not job.requeue(reason(job)) and job.state == JobState.FAILED:
            on_failure(job)
    overdue = jobs.overdue()
    return [job for job in overdue if overdue.filter(pk=job.pk).update(heartbeat_at=timezone.now())]
