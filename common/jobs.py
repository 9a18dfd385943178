"""Job rows: long work that one worker claims, keeps alive by a heartbeat, and ends with a state and a reason.

The row is the truth and the message in the queue a hint. A message that comes twice finds the row claimed; one that
never comes is sent again by the recovery (common.recovery).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from datetime import timedelta
from typing import Any, Self

from celery import Task
from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from common.messages import MessageField, StrOrMessage

logger = logging.getLogger(__name__)


def enqueue(task: Task | str, *args: Any, queue: str | None = None) -> None:
    """Send the task after the current transaction has committed.

    task: the task, or its dotted path for an act that the task's module imports. Nothing is lost when the broker
    cannot be reached: the row stays queued, and the recovery sends it later.
    """

    def send() -> None:
        target: Task = import_string(task) if isinstance(task, str) else task
        try:
            target.apply_async(args, queue=queue, retry=False)
        except OperationalError as error:
            logger.warning("%s%r was not sent, the recovery will send it: %s", target.name, args, error)

    transaction.on_commit(send)


def worker_name() -> str:
    """Return host:pid:token, a unique name for this worker."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def worker_has_exited(worker: str) -> bool:
    """Whether the worker ran on this machine and its process has ended; false for workers of other machines."""
    host, _separator, rest = worker.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname()[:60] or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's process has the number now
        return True
    return False


class JobState(models.TextChoices):
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class JobQuerySet(models.QuerySet[Any, Any]):
    """Filters by state that every kind of job shares."""

    def queued(self) -> Self:
        return self.filter(state=JobState.QUEUED)

    def running(self) -> Self:
        return self.filter(state=JobState.RUNNING)

    def unfinished(self) -> Self:
        return self.filter(state__in=[JobState.QUEUED, JobState.RUNNING])

    def done(self) -> Self:
        return self.filter(state=JobState.DONE)

    def stale(self) -> Self:
        """Running jobs without a heartbeat for STALE_SECONDS: their worker is lost."""
        limit = timezone.now() - timedelta(seconds=settings.STALE_SECONDS)
        return self.running().filter(Q(heartbeat_at__lt=limit) | Q(heartbeat_at=None))

    def overdue(self) -> Self:
        """Queued jobs that no worker claimed for STALE_SECONDS: their message may be lost."""
        limit = timezone.now() - timedelta(seconds=settings.STALE_SECONDS)
        return self.queued().filter(Q(heartbeat_at__lt=limit) | Q(heartbeat_at=None, created_at__lt=limit))


class Job(models.Model):
    """One piece of long work, with its state, heartbeat and progress.

    queued ──claim──► running ──finish──► done
       ▲                 │ ├────fail────► failed (reason)
       └────requeue──────┘ └───cancel───► cancelled
    """

    MAX_ATTEMPTS = 3

    state = models.CharField(max_length=12, choices=JobState, default=JobState.QUEUED, db_index=True)
    reason = MessageField(blank=True, help_text=_("Why it failed, was cancelled or was queued again."))
    attempts = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True, help_text=_("Who holds the claim: host:pid:token."))
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    progress_note = MessageField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def is_live(self) -> bool:
        """Whether it is queued or running."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    def claim(self, worker: str) -> bool:
        """Claim the queued job for this worker. True for exactly one of several concurrent callers."""
        now = timezone.now()
        claimed = (
            type(self)
            ._default_manager.filter(pk=self.pk, state=JobState.QUEUED)
            .update(
                state=JobState.RUNNING,
                worker=worker,
                attempts=F("attempts") + 1,
                started_at=now,
                heartbeat_at=now,
                reason="",
            )
        )
        if claimed:
            self.refresh_from_db()
        return bool(claimed)

    def record_heartbeat(
        self, done: int | None = None, total: int | None = None, note: StrOrMessage | None = None
    ) -> bool:
        """Record that the worker is alive, with its progress; false when the job is no longer this worker's."""
        changes: dict[str, object] = {"heartbeat_at": timezone.now()}
        if done is not None:
            changes["progress_done"] = self.progress_done = done
        if total is not None:
            changes["progress_total"] = self.progress_total = total
        if note is not None:
            changes["progress_note"] = self.progress_note = note
        return bool(self._claimed_row().update(**changes))

    def finish(self, note: StrOrMessage = "") -> bool:
        """running → done, by the claiming worker only; false when it lost the claim."""
        return self._end(JobState.DONE, reason="", progress_note=note)

    def fail(self, reason: StrOrMessage) -> bool:
        """queued or running → failed; the reason is shown to people."""
        return self._end(JobState.FAILED, reason=reason)

    def cancel(self, reason: StrOrMessage = "") -> bool:
        """queued or running → cancelled; a running worker notices at its next heartbeat."""
        return self._end(JobState.CANCELLED, reason=reason, any_worker=True)

    def requeue(self, reason: StrOrMessage) -> bool:
        """A job that lost its worker → queued, or failed after MAX_ATTEMPTS; true when it will run again."""
        will_run = self.attempts < self.MAX_ATTEMPTS
        state = JobState.QUEUED if will_run else JobState.FAILED
        changed = self._end(state, reason=reason, finished=not will_run)
        return changed and will_run

    def _claimed_row(self) -> models.QuerySet[Any, Any]:
        return type(self)._default_manager.filter(pk=self.pk, state=JobState.RUNNING, worker=self.worker)

    def _end(self, state: str, *, finished: bool = True, any_worker: bool = False, **changes: object) -> bool:
        open_states = [JobState.QUEUED, JobState.RUNNING]
        rows = type(self)._default_manager.filter(pk=self.pk, state__in=open_states)
        if not any_worker:
            rows = rows.filter(worker=self.worker)
        changes |= {"state": state, "finished_at": timezone.now() if finished else None}
        changed = bool(rows.update(**changes))
        if changed:
            self.refresh_from_db()
        return changed
