"""One stretch of a training: its steps, its looks at the dev split, and the weights that did best there.

It goes on from its bookmark when its process was killed, and ends at the weights it would have ended at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from tuning.engine.generator.answer_loss import pace
from tuning.engine.process.checkpoints import GOING_ON, Bookmark
from tuning.engine.process.training_process import Log

if TYPE_CHECKING:
    import torch

TIMED_AT = (3, 10)  # steps after which it is known what one costs


@dataclass(frozen=True)
class Lesson:
    """What is learned, and how.

    batches: without end, the same ones at every call. gradients: adds a batch's gradient to the weights, returns its
    loss. look: the dev loss, lower is better, and what else it saw; None without a dev split.
    """

    name: str
    steps: int
    lr: float
    batches: Callable[[], Iterator[Any]]
    gradients: Callable[[Any], float]
    look: Callable[[], tuple[float, dict[str, float]]] | None
    warmup: float = 0.1  # share of the steps
    clip: float = 1.0
    looks: int = 4  # besides the one before the first step
    patience: int = 2  # looks without a better one that end it


class Course:
    """One lesson for the weights of a model that learn."""

    def __init__(self, model: Any, lesson: Lesson, log: Log, bookmark: Bookmark, budget_seconds: float) -> None:
        self.model, self.lesson, self.log, self.bookmark = model, lesson, log, bookmark
        self.budget_seconds = budget_seconds
        self.steps, self.done = lesson.steps, 0
        self.losses: list[list[float]] = []
        self.looks: list[dict[str, float]] = []
        self.was_cut, self.is_over = False, False
        self.choice = ""
        self._kept: dict[str, torch.Tensor] = {}
        self._best, self._since = math.inf, 0
        self._began, self._earlier = log.seconds, 0.0

    @property
    def seconds(self) -> float:
        """What it took so far, in this process and in those before that were killed."""
        return self._earlier + self.log.seconds - self._began

    def run(self) -> None:
        """Train until the steps or the patience or the time is over, then put the best weights back."""
        import torch

        learning = list(learned(self.model).values())
        optimizer = torch.optim.AdamW(learning, lr=self.lesson.lr, weight_decay=0.0)
        self._resume(optimizer)
        if self.is_over:
            return
        if not self.done:
            self._look()
        for batch in islice(self.lesson.batches(), self.done, None):
            if self.done >= self.steps or (self.lesson.look and self._since >= self.lesson.patience):
                break
            self._step(batch, optimizer, learning)
            self.bookmark.save(lambda: self._state(optimizer))
        self._put_back()
        self.is_over = True
        self.bookmark.save(lambda: self._state(optimizer), now=True)

    def _step(self, batch: Any, optimizer: torch.optim.Optimizer, learning: list[torch.Tensor]) -> None:
        import torch

        for group in optimizer.param_groups:
            group["lr"] = self.lesson.lr * pace(self.done, self.steps, self.lesson.warmup)
        loss = self.lesson.gradients(batch)
        torch.nn.utils.clip_grad_norm_(learning, self.lesson.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.done += 1
        self.losses.append([self.done, loss])
        self._heed_time()
        self._write(loss=loss)
        if self.done in self._look_at():
            self._look()

    def _heed_time(self) -> None:
        """After a few steps it is known what one costs: plan no more than the budget pays for."""
        if self.done not in TIMED_AT or math.isinf(self.budget_seconds):
            return
        affordable = self.done + int((self.budget_seconds - self.seconds) / max(self._step_seconds(), 1e-6))
        if affordable < self.steps:
            self.steps, self.was_cut = max(affordable, self.done), True

    def _look(self) -> None:
        """Measure the dev loss, and keep the weights if none were better."""
        if self.lesson.look is None:
            return
        loss, more = self.lesson.look()
        self.looks.append({"step": self.done, "loss": loss} | more)
        self._write(dev=loss)
        if loss < self._best:
            self._best, self._since = loss, 0
            self._kept = {name: value.detach().clone() for name, value in learned(self.model).items()}
            self.choice = f"step {self.done}"
        else:
            self._since += 1

    def _look_at(self) -> set[int]:
        return {round(self.steps * place / self.lesson.looks) for place in range(1, self.lesson.looks + 1)}

    def _put_back(self) -> None:
        if self.lesson.look is None:
            self.choice = f"step {self.done}, the last: there is no dev split to choose by"
            return
        _set(self.model, self._kept)

    def _step_seconds(self) -> float:
        # The looks to come are paid for too: their share is in the seconds so far.
        return self.seconds / max(self.done, 1)

    def _write(self, **values: float) -> None:
        self.log.write(self.done, self.steps, seconds_left=self._seconds_left(), candidate=self.lesson.name, **values)

    def _seconds_left(self) -> float:
        """By the pace so far; before the first step all of the budget, or nothing known without one."""
        budget = 0.0 if math.isinf(self.budget_seconds) else max(self.budget_seconds - self.seconds, 0.0)
        if not self.done:
            return budget
        left = self._step_seconds() * (self.steps - self.done)
        return min(left, budget) if budget else left

    def _state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        own = {name: value.detach() for name, value in learned(self.model).items()}
        return {
            "weights": own,
            "optimizer": optimizer.state_dict(),
            "kept": self._kept,
            "best": self._best,
            "since": self._since,
            "done": self.done,
            "steps": self.steps,
            "losses": self.losses,
            "looks": self.looks,
            "was_cut": self.was_cut,
            "is_over": self.is_over,
            "choice": self.choice,
            "seconds": self.seconds,
        }

    def _resume(self, optimizer: torch.optim.Optimizer) -> None:
        state = self.bookmark.load()
        if state is None:
            return
        _set(self.model, state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        self._kept, self._best, self._since = state["kept"], state["best"], state["since"]
        self.done, self.steps = state["done"], state["steps"]
        self.losses, self.looks = state["losses"], state["looks"]
        self.was_cut, self.is_over, self.choice = state["was_cut"], state["is_over"], state["choice"]
        self._earlier = state["seconds"]
        self._tell_again()

    def _tell_again(self) -> None:
        """The lines the killed process wrote went with it: its curves are told once more."""
        name, left = self.lesson.name, self._seconds_left()
        self.log.write(self.done, self.steps, seconds_left=left, candidate=name, note=GOING_ON)
        for step, loss in self.losses:
            self.log.write(int(step), self.steps, seconds_left=left, candidate=name, loss=loss)
        for look in self.looks:
            self.log.write(int(look["step"]), self.steps, seconds_left=left, candidate=name, dev=look["loss"])


def learned(model: Any) -> dict[str, Any]:
    """The weights that learn, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _set(model: Any, values: dict[str, torch.Tensor]) -> None:
    own = learned(model)
    for name, value in values.items():
        own[name].data.copy_(value)
