"""The heartbeat of a job: a thread records it while the work goes on.

The work cannot do it itself: one native call (an index build, a long generation) may last longer than STALE_SECONDS.
The price: a worker that hangs forever looks alive, until a person cancels its job.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connections

from common.jobs import Job
from common.messages import message_of_error

logger = logging.getLogger(__name__)


class ClaimLost(Exception):
    """The job is no longer this worker's: it was cancelled, or another worker took it over."""


class Heartbeat:
    """Record a claimed job's heartbeat every HEARTBEAT_SECONDS until the block ends."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat of {job}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise ClaimLost when the job is no longer this worker's."""
        if self._lost.is_set():
            raise ClaimLost(f"{self.job} is no longer claimed by this worker")

    def _run(self) -> None:
        try:
            while not self._ended.wait(settings.HEARTBEAT_SECONDS):
                self._record()
                if self._lost.is_set():
                    return
        finally:
            connections.close_all()  # a connection belongs to its thread

    def _record(self) -> None:
        try:
            if not self.job.record_heartbeat():
                self._lost.set()
        except DatabaseError as error:  # the database is busy or restarting: the next heartbeat may succeed
            logger.warning("the heartbeat of %s was not written: %s", self.job, error)


@contextmanager
def run_job(job: Job, reasons: tuple[type[Exception], ...]) -> Iterator[Heartbeat]:
    """Keep a claimed job's heartbeat while the block works on it; an error in the block fails the job.

    An error of `reasons` is stored as the job's reason and goes no further. Any other is stored and raised again, so
    that the log has the traceback. ClaimLost changes nothing: the job belongs to another worker now.
    """
    try:
        with Heartbeat(job) as heartbeat:
            yield heartbeat
    except ClaimLost as error:
        logger.warning("%s stopped: %s", job, error)
    except reasons as error:
        job.fail(message_of_error(error))
    except Exception as error:
        job.fail(f"{type(error).__name__}: {error}")
        raise
