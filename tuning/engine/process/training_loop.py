"""The training loop of every trainer: learning rate schedule, gradient clipping, early stopping, training state.

A loop takes steps, evaluates on the dev split now and then, and ends with the weights that did best there. A loop whose
process was killed resumes from its training state and ends with the weights and curves it would have ended with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from tuning.engine.process import training_state
from tuning.engine.process.lr_schedule import Decay, lr_factor
from tuning.engine.process.training_state import RESUMED, TrainingState

if TYPE_CHECKING:
    import torch

Point = dict[str, Any]


@dataclass(frozen=True)
class TrainingPlan:
    """What a training loop does.

    batches:     returns an iterator of batches, the same ones at every call; it may be endless.
    gradients:   adds the gradient of one batch to the weights and returns the batch's loss.
    evaluate:    returns the dev loss, lower is better, and further measures; None without a dev split.
    steps:       at most; fewer where the batches end, the dev loss stops falling or the budget is too short.
    warmup, decay: see `lr_schedule`; lr is the peak.
    evaluations: on dev, in equal distances, besides the one before the first step. patience: evaluations without a
                 lower dev loss after which training stops early.
    replan_at:   the steps after which the number of steps is fitted to the budget.
    fused:       whether the optimizer is torch's fused AdamW, whose last bits differ from those of the plain one.
    """

    name: str
    steps: int
    lr: float
    batches: Callable[[], Iterator[Any]]
    gradients: Callable[[Any], float]
    evaluate: Callable[[], tuple[float, dict[str, float]]] | None = None
    warmup: float = 0.1
    decay: Decay = "cosine"
    max_grad_norm: float = 1.0
    evaluations: int = 4
    patience: int = 2
    replan_at: Container[int] = (3, 10)
    fused: bool = False


class LoopLog(Protocol):
    """What a training loop needs of a log; see `training_process.MetricsLog`."""

    @property
    def seconds(self) -> float: ...

    def add_earlier(self, seconds: float) -> None: ...

    def write(self, step: int, steps: int, *, seconds_left: float, candidate: str, **values: Any) -> None: ...


class EarlyStopping:
    """The weights with the lowest dev loss so far, and whether `patience` evaluations since then were no better.

    Of equal losses the earlier counts.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_step = 0
        self._best_loss, self._evaluations_since = math.inf, 0
        self._best_weights: dict[str, torch.Tensor] = {}

    @property
    def is_due(self) -> bool:
        return self._evaluations_since >= self.patience

    def add(self, step: int, loss: float, model: Any) -> None:
        """Take note of one evaluation; copy the weights if none were better."""
        if loss < self._best_loss:
            self.best_step, self._best_loss, self._evaluations_since = step, loss, 0
            self._best_weights = {name: value.detach().clone() for name, value in trainable_weights(model).items()}
        else:
            self._evaluations_since += 1

    def restore_best(self, model: Any) -> None:
        """Put the best weights back into the model."""
        load_weights(model, self._best_weights)

    def state(self) -> dict[str, Any]:
        """Return everything that decides what happens next, for the training state."""
        return {
            "best_step": self.best_step,
            "best_loss": self._best_loss,
            "best_weights": self._best_weights,
            "evaluations_since": self._evaluations_since,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.best_step, self._best_loss = state["best_step"], state["best_loss"]
        self._best_weights, self._evaluations_since = state["best_weights"], state["evaluations_since"]


class TrainingLoop:
    """One training loop over the trainable weights of a model.

    step:    steps taken. steps: steps planned, fewer than the plan's where the budget is too short (`is_cut_short`).
    history: one point a step {"step", "seconds", "loss"} and one an evaluation {"step", "seconds", "dev", measures…}.
    choice:  in words, which weights the model has at the end.
    """

    def __init__(
        self,
        model: Any,
        plan: TrainingPlan,
        log: LoopLog,
        saved_state: TrainingState | None = None,
        budget_seconds: float = math.inf,
    ) -> None:
        self.model, self.plan, self.log = model, plan, log
        self.saved_state, self.budget_seconds = saved_state, budget_seconds
        self.step, self.steps = 0, plan.steps
        self.is_cut_short, self.is_over = False, False
        self.choice = ""
        self.history: list[Point] = []
        self._early_stopping = EarlyStopping(plan.patience)
        self._began, self._earlier_seconds = log.seconds, 0.0

    @property
    def seconds(self) -> float:
        """Seconds of the loop so far, in this process and in those that were killed."""
        return self._earlier_seconds + self.log.seconds - self._began

    @property
    def losses(self) -> list[list[float]]:
        """[step, loss] of every step."""
        return [[point["step"], point["loss"]] for point in self.history if "loss" in point]

    @property
    def evaluations(self) -> list[Point]:
        """{"step", "loss"} of every evaluation, with its further measures."""
        return [
            {"step": point["step"], "loss": point["dev"]}
            | {name: value for name, value in point.items() if name not in ("step", "seconds", "dev")}
            for point in self.history
            if "dev" in point
        ]

    def run(self) -> None:
        """Train until steps, batches, patience or budget are used up; then put the best weights back."""
        import torch

        weights = list(trainable_weights(self.model).values())
        optimizer = torch.optim.AdamW(weights, lr=self.plan.lr, weight_decay=0.0, fused=self.plan.fused or None)
        self._resume(optimizer)
        if self.is_over:
            return
        if not self.step:
            self._evaluate()
        for batch in islice(self.plan.batches(), self.step, None):
            if self.step >= self.steps or self._early_stopping.is_due:
                break
            self._take_step(batch, optimizer, weights)
            self._save_state(optimizer)
        self._choose_weights()
        self.is_over = True
        self._save_state(optimizer, now=True)

    def _take_step(self, batch: Any, optimizer: torch.optim.Optimizer, weights: list[torch.Tensor]) -> None:
        import torch

        plan = self.plan
        for group in optimizer.param_groups:
            group["lr"] = plan.lr * lr_factor(self.step, self.steps, plan.warmup, plan.decay)
        loss = plan.gradients(batch)
        torch.nn.utils.clip_grad_norm_(weights, plan.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._fit_budget()
        self._add_point({"loss": loss})
        if self.step in self._evaluation_steps():
            self._evaluate()

    def _fit_budget(self) -> None:
        """Plan no more steps than the rest of the budget pays for, once the cost of a step is known."""
        if self.step not in self.plan.replan_at or math.isinf(self.budget_seconds):
            return
        affordable = self.step + int((self.budget_seconds - self.seconds) / max(self._step_seconds(), 1e-6))
        if affordable < self.steps:
            self.steps, self.is_cut_short = max(affordable, self.step), True

    def _evaluate(self) -> None:
        if self.plan.evaluate is None:
            return
        loss, measures = self.plan.evaluate()
        self._add_point({"dev": loss} | measures)
        self._early_stopping.add(self.step, loss, self.model)

    def _evaluation_steps(self) -> set[int]:
        count = self.plan.evaluations
        return {round(self.steps * number / count) for number in range(1, count + 1)}

    def _choose_weights(self) -> None:
        if self.plan.evaluate is None:
            self.choice = f"step {self.step}, the last: there is no dev split to choose by"
            return
        self._early_stopping.restore_best(self.model)
        self.choice = f"step {self._early_stopping.best_step}"

    def _add_point(self, values: Point) -> None:
        point = {"step": self.step, "seconds": self.log.seconds} | values
        self.history.append(point)
        self._write_point(point)

    def _write_point(self, point: Point) -> None:
        values = {name: point[name] for name in ("loss", "dev") if name in point}
        self._write(point["step"], seconds=round(point["seconds"], 2), **values)

    def _write(self, step: int, **values: Any) -> None:
        self.log.write(step, self.steps, seconds_left=self._seconds_left(), candidate=self.plan.name, **values)

    def _step_seconds(self) -> float:
        """Mean cost of a step. Evaluations count too: the budget also pays for those to come."""
        return self.seconds / max(self.step, 1)

    def _seconds_left(self) -> float:
        """Return the cost of the steps to come, at most the rest of the budget; before the first step all of that."""
        budget = 0.0 if math.isinf(self.budget_seconds) else max(self.budget_seconds - self.seconds, 0.0)
        if not self.step:
            return budget
        cost = self._step_seconds() * (self.steps - self.step)
        return min(cost, budget) if budget else cost

    def _save_state(self, optimizer: torch.optim.Optimizer, *, now: bool = False) -> None:
        if self.saved_state is not None:
            self.saved_state.save(lambda: self._collect_state(optimizer), now=now)

    def _collect_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "weights": {name: value.detach() for name, value in trainable_weights(self.model).items()},
            "optimizer": optimizer.state_dict(),
            "random": training_state.random_state(),
            "early_stopping": self._early_stopping.state(),
            "step": self.step,
            "steps": self.steps,
            "history": self.history,
            "is_cut_short": self.is_cut_short,
            "is_over": self.is_over,
            "choice": self.choice,
            "loop_seconds": self.seconds,
            "log_seconds": self.log.seconds,
        }

    def _resume(self, optimizer: torch.optim.Optimizer) -> None:
        state = self.saved_state.load() if self.saved_state is not None else None
        if state is None:
            return
        load_weights(self.model, state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        training_state.restore_random_state(state["random"])
        self._early_stopping.load(state["early_stopping"])
        self.step, self.steps, self.history = state["step"], state["steps"], state["history"]
        self.is_cut_short, self.is_over, self.choice = state["is_cut_short"], state["is_over"], state["choice"]
        self._earlier_seconds = state["loop_seconds"]
        self.log.add_earlier(state["log_seconds"])
        self._began = self.log.seconds
        self._write_history_again()

    def _write_history_again(self) -> None:
        """Write the lines of the killed process once more: its metrics file was replaced by this process's."""
        for point in self.history:
            self._write_point(point)
        self._write(self.step, note=RESUMED)


def trainable_weights(model: Any) -> dict[str, Any]:
    """Return the weights that learn, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def load_weights(model: Any, values: dict[str, torch.Tensor]) -> None:
    """Copy the values into the model's trainable weights of these names."""
    weights = trainable_weights(model)
    for name, value in values.items():
        weights[name].data.copy_(value)
