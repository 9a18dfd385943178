"""Long work as a row: claimed once, alive by its heartbeat, ended with a reason.

The queue is only a hint that a row may be ready. What a row says is the truth, so a message that
comes twice finds the row claimed, and one that never comes is replaced by the sweep.
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
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from common.messages import Said, SentenceField

logger = logging.getLogger(__name__)


def enqueue(task: Task, *args: Any, queue: str | None = None) -> None:
    """Send the task once the surrounding transaction has committed.

    A broker that cannot be reached loses nothing: the row says what is to be done, and the sweep finds it.
    """

    def send() -> None:
        try:
            task.apply_async(args, queue=queue, retry=False)
        except OperationalError as error:
            logger.warning("%s%r was not sent, the sweep will find its row: %s", task.name, args, error)

    transaction.on_commit(send)


def worker_name() -> str:
    """host:pid:token, a name that no other worker has or will have."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def is_gone(worker: str) -> bool:
    """Whether this machine once ran the worker of that name and runs it no more; unknown of other machines: false."""
    host, _separator, rest = worker.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname()[:60] or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's process has the number
        return True
    return False


class JobState(models.TextChoices):
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class JobQuerySet(models.QuerySet[Any, Any]):
    """Reading words shared by everything that runs for long."""

    def queued(self) -> Self:
        return self.filter(state=JobState.QUEUED)

    def running(self) -> Self:
        return self.filter(state=JobState.RUNNING)

    def unfinished(self) -> Self:
        return self.filter(state__in=[JobState.QUEUED, JobState.RUNNING])

    def done(self) -> Self:
        return self.filter(state=JobState.DONE)

    def stale(self) -> Self:
        """Running rows whose worker has been silent for longer than STALE_SECONDS."""
        silent = timezone.now() - timedelta(seconds=settings.STALE_SECONDS)
        return self.running().filter(Q(heartbeat_at__lt=silent) | Q(heartbeat_at=None))


class Job(models.Model):
    """One piece of long work.

    queued ──claim──► running ──finish──► done
       ▲                 │ ├────fail────► failed (reason)
       └────requeue──────┘ └───cancel───► cancelled
    """

    MOST_ATTEMPTS = 3

    state = models.CharField(max_length=12, choices=JobState, default=JobState.QUEUED, db_index=True)
    reason = SentenceField(blank=True, help_text=_("Why it failed, was cancelled or was taken up again."))
    attempts = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True, help_text=_("Who holds the claim: host:pid:token."))
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    progress_note = SentenceField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def is_live(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    def claim(self, worker: str) -> bool:
        """Take the row for this worker: true for exactly one of any number of callers."""
        now = timezone.now()
        taken = (
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
        if taken:
            self.refresh_from_db()
        return bool(taken)

    def beat(self, done: int | None = None, total: int | None = None, note: Said | None = None) -> bool:
        """Say that the worker is alive; false when the claim is no longer its own (cancelled or taken up anew)."""
        changes: dict[str, object] = {"heartbeat_at": timezone.now()}
        if done is not None:
            changes["progress_done"] = self.progress_done = done
        if total is not None:
            changes["progress_total"] = self.progress_total = total
        if note is not None:
            changes["progress_note"] = self.progress_note = note
        return bool(self._held().update(**changes))

    def finish(self, note: Said = "") -> bool:
        """running → done, by its holder only; false when the claim was lost."""
        return self._end(JobState.DONE, reason="", progress_note=note)

    def fail(self, reason: Said) -> bool:
        """queued or running → failed; the reason is one a curator could read."""
        return self._end(JobState.FAILED, reason=reason)

    def cancel(self, reason: Said = "") -> bool:
        """queued or running → cancelled; a running worker learns it from its next beat."""
        return self._end(JobState.CANCELLED, reason=reason, any_holder=True)

    def requeue(self, reason: Said) -> bool:
        """A row that lost its worker → queued, or failed after MOST_ATTEMPTS; true when it is to run again."""
        again = self.attempts < self.MOST_ATTEMPTS
        state = JobState.QUEUED if again else JobState.FAILED
        changed = self._end(state, reason=reason, finished=not again)
        return changed and again

    def _held(self) -> models.QuerySet[Any, Any]:
        return type(self)._default_manager.filter(pk=self.pk, state=JobState.RUNNING, worker=self.worker)

    def _end(self, state: str, *, finished: bool = True, any_holder: bool = False, **changes: object) -> bool:
        open_states = [JobState.QUEUED, JobState.RUNNING]
        rows = type(self)._default_manager.filter(pk=self.pk, state__in=open_states)
        if not any_holder:
            rows = rows.filter(worker=self.worker)
        changes |= {"state": state, "finished_at": timezone.now() if finished else None}
        changed = bool(rows.update(**changes))
        if changed:
            self.refresh_from_db()
        return changed
