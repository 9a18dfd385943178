"""Progress of a training that tries several candidates: steps, curves and the time left over all of them."""

from __future__ import annotations

import math
from typing import Any

from tuning.engine.process.training_process import MetricsLog


class Progress:
    """Log lines whose `step` of `steps` counts through every candidate, and the curve of each candidate.

    seconds_left is the mean time of a step so far times the steps to come, or the rest of the budget where that is
    less.
    """

    def __init__(self, log: MetricsLog, budget_seconds: float | None = None) -> None:
        self.log = log
        self.budget_seconds = math.inf if budget_seconds is None else budget_seconds
        self.step = 0
        self.steps = 0
        self.curves: dict[str, list[dict[str, Any]]] = {}

    @property
    def budget_left(self) -> float:
        """Seconds left of the budget, below 0 where it is overspent; infinite without one."""
        return self.budget_seconds - self.log.seconds

    def write(self, candidate: str, **values: Any) -> None:
        """Write one line; its `loss` or `dev` also becomes a point of the candidate's curve.

        seconds: of a line that a killed process wrote before; by default those of the log.
        """
        seconds = round(values.pop("seconds", self.log.seconds), 2)
        numbers = {name: round(float(values[name]), 6) for name in ("loss", "dev") if values.get(name) is not None}
        if numbers:
            point = {"step": self.step, "seconds": seconds} | numbers
            self.curves.setdefault(candidate, []).append(point)
        values |= numbers | {"candidate": candidate, "seconds": seconds}
        self.log.write(self.step, self.steps, seconds_left=self._seconds_left(), **values)

    def _seconds_left(self) -> float:
        step_seconds = self.log.seconds / self.step if self.step else 0.0
        return min(step_seconds * (self.steps - self.step), self.budget_left)


class CandidateLog:
    """The log of one candidate's training loop, whose steps count after those of the candidates before it."""

    def __init__(self, progress: Progress, planned_steps: int) -> None:
        self._progress = progress
        self._first_step = progress.step
        self._other_steps = progress.steps - planned_steps

    @property
    def seconds(self) -> float:
        """Seconds since the training began."""
        return self._progress.log.seconds

    def add_earlier(self, seconds: float) -> None:
        """Count the seconds that killed processes had spent."""
        self._progress.log.add_earlier(seconds)

    def write(self, step: int, steps: int, *, seconds_left: float, candidate: str, **values: Any) -> None:
        """Write one line of the loop under the steps of the whole training, which also give the time left."""
        self._progress.step = self._first_step + step
        self._progress.steps = self._other_steps + steps
        self._progress.write(candidate, **values)
