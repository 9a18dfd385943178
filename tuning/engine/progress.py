"""How far a training is, through all its parts, and how much of its time is left."""

from __future__ import annotations

from typing import Any

from tuning.engine.fitting import Log


class Progress:
    """Lines of a log whose `step` of `steps` counts through every candidate, with the curve of each.

    seconds_left is the pace so far times the steps to come, or what is left of the budget when that is less.
    """

    def __init__(self, log: Log, budget_seconds: float | None = None) -> None:
        self._log = log
        self._budget = budget_seconds
        self.step = 0
        self.steps = 0
        self.curves: dict[str, list[dict[str, Any]]] = {}

    @property
    def seconds(self) -> float:
        """Since the training began."""
        return self._log.seconds

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
