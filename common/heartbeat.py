"""Hold a claim while long work goes on.

A thread says that the worker is alive, because one native call (a build, a long generation) may last longer
than STALE_SECONDS. The price: a worker that hangs forever looks alive, and is ended by a person's cancel.
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
from common.messages import of_error

logger = logging.getLogger(__name__)


class LostClaim(Exception):
    """The row is no longer this worker's: it was cancelled, or taken up anew after a silence."""


class Hold:
    """Keeps a claimed row alive until the block ends; `check` raises LostClaim once it is not ours any more."""

    def __init__(self, row: Job) -> None:
        self.row = row
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name=f"hold {row}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        if self._lost.is_set():
            raise LostClaim(f"{self.row} is no longer held by this worker")

    def _beat_on(self) -> None:
        try:
            while not self._ended.wait(settings.HEARTBEAT_SECONDS):
                self._beat()
                if self._lost.is_set():
                    return
        finally:
            connections.close_all()  # a connection belongs to its thread

    def _beat(self) -> None:
        try:
            if not self.row.beat():
                self._lost.set()
        except DatabaseError as error:  # a busy or restarting database: the next beat may pass
            logger.warning("the heartbeat of %s was not written: %s", self.row, error)


@contextmanager
def carried(row: Job, reasons: tuple[type[Exception], ...]) -> Iterator[Hold]:
    """Hold a claimed row while the block works on it; what ends the block too soon ends the row with its reason.

    One of `reasons` goes no further: the row says it. Anything else is raised on, so that the log has the rest. A
    claim lost on the way leaves the row to whoever has it now.
    """
    try:
        with Hold(row) as hold:
            yield hold
    except LostClaim as error:
        logger.warning("%s stopped: %s", row, error)
    except reasons as error:
        row.fail(of_error(error))
    except Exception as error:
        row.fail(f"{type(error).__name__}: {error}")
        raise
