"""How far a training is, through all its parts, and how much of its time is left."""

from __future__ import annotations

from typing import Any

from tuning.engine.process.checkpoints import GOING_ON
from tuning.engine.process.training_process import Log


class Progress:
    """Lines of a log whose `step` of `steps` counts through every candidate, with the curve of each.

    seconds_left is the pace so far times the steps to come, or what is left of the budget when that is less.
    """

    def __init__(self, log: Log, budget_seconds: float | None = None) -> None:
        self._log = log
        self._budget = budget_seconds
        self.earlier = 0.0  # seconds spent by processes that were killed, see `tell_again`
        self.step = 0
        self.steps = 0
        self.curves: dict[str, list[dict[str, Any]]] = {}

    @property
    def seconds(self) -> float:
        """Since the training began, in this process and in those before that were killed."""
        return self.earlier + self._log.seconds

    def fitting_steps(self, pace: float) -> float:
        """How many more steps of `pace` seconds the budget holds; infinite without one."""
        if self._budget is None:
            return float("inf")
        return max(0.0, (self._budget - self.seconds) // max(pace, 1e-6))

    def write(self, candidate: str, **values: Any) -> None:
        """Add one line; its `loss` or `dev` also goes into the curve of the candidate."""
        pace = self.seconds / self.step if self.step else 0.0
        left = pace * (self.steps - self.step)
        if self._budget is not None:
            left = min(left, self._budget - self.seconds)
        kept = {name: round(float(values[name]), 6) for name in ("loss", "dev") if values.get(name) is not None}
        self._log.write(self.step, self.steps, seconds_left=left, candidate=candidate, **values | kept)
        self.curves.setdefault(candidate, []).append({"step": self.step, "seconds": round(self.seconds, 2)} | kept)

    def tell_again(self, candidate: str, curve: list[dict[str, Any]], seconds: float) -> None:
        """Take up the curve of a candidate where a process was killed, and say its lines once more.

        seconds: what that process, and those before it, had spent.
        """
        self.earlier = max(self.earlier, seconds)
        self.curves[candidate] = list(curve)
        for line in curve:
            self.step = line["step"]
            self._log.write(self.step, self.steps, seconds_left=0.0, candidate=candidate, loss=line.get("loss"))
        self._log.write(self.step, self.steps, seconds_left=0.0, candidate=candidate, note=GOING_ON)
