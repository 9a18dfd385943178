"""tuning/engine/process/training_loop.py on one linear layer with dropout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tuning.engine.process.training_loop import TrainingLoop, TrainingPlan
from tuning.engine.process.training_process import MetricsLog
from tuning.engine.process.training_state import RESUMED, TrainingState, remove_states


class Killed(BaseException):
    """Stands for a signal nobody can catch."""


@dataclass
class Task:
    """A regression whose training dies after `dies_after` further batches; its dev losses may be given."""

    dies_after: int = 10_000
    dev_losses: list[float] = field(default_factory=list)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        import torch

        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(self.dropout), torch.nn.Linear(8, 1))
        self.inputs = torch.randn(40, 4)
        torch.manual_seed(1)

    def batches(self) -> Iterator[Any]:
        while True:
            yield from self.inputs.split(4)

    def gradients(self, batch: Any) -> float:
        if not self.dies_after:
            raise Killed
        self.dies_after -= 1
        loss = (self.model(batch).sum(dim=1) - batch.sum(dim=1)).square().mean()
        loss.backward()
        return float(loss.detach())

    def evaluate(self) -> tuple[float, dict[str, float]]:
        if self.dev_losses:
            return self.dev_losses.pop(0), {}
        self.model.eval()
        loss = float((self.model(self.inputs).sum(dim=1) - self.inputs.sum(dim=1)).square().mean().detach())
        self.model.train()
        return loss, {"half": loss / 2}

    def weights(self) -> list[list[float]]:
        return [value.flatten().tolist() for value in self.model.state_dict().values()]


def plan(task: Task, **changes: Any) -> TrainingPlan:
    values: dict[str, Any] = {"steps": 12, "lr": 0.1, "patience": 100, "evaluate": task.evaluate} | changes
    return TrainingPlan("toy", batches=task.batches, gradients=task.gradients, **values)


def run(
    task: Task, folder: Path, state: str = "toy.state", budget: float = float("inf"), **changes: Any
) -> TrainingLoop:
    log = MetricsLog(folder / "metrics.jsonl")
    loop = TrainingLoop(task.model, plan(task, **changes), log, TrainingState(folder / state, "key", 0.0), budget)
    loop.run()
    return loop


@pytest.fixture(autouse=True)
def random_numbers_as_they_were() -> Iterator[None]:
    import torch

    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_a_killed_loop_resumes_and_ends_with_the_same_weights_and_curves(tmp_path: Path, decay: str) -> None:
    whole = Task()
    expected = run(whole, tmp_path, "whole.state", decay=decay)
    for dies_after in (1, 3, 5):  # each time after so many further steps
        with pytest.raises(Killed):
            run(Task(dies_after), tmp_path, decay=decay)
    task = Task()
    loop = run(task, tmp_path, decay=decay)
    assert task.weights() == whole.weights()  # dropout goes on with the same random numbers
    assert loop.losses == expected.losses and len(loop.losses) == 12
    assert loop.evaluations == expected.evaluations and len(loop.evaluations) == 5
    assert loop.choice == expected.choice
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [[line["step"], line["loss"]] for line in lines if "loss" in line] == expected.losses
    assert [line["note"] for line in lines if "note" in line] == [RESUMED]
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)  # they count through all processes


def test_a_finished_loop_is_not_run_again(tmp_path: Path) -> None:
    first = Task()
    run(first, tmp_path)
    second = Task(dies_after=0)
    loop = run(second, tmp_path)
    assert loop.is_over and loop.step == 12 and second.weights() == first.weights()


def test_early_stopping_keeps_the_weights_of_the_lowest_dev_loss(tmp_path: Path) -> None:
    task = Task(dev_losses=[5.0, 4.0, 4.0, 4.5, 1.0])
    loop = run(task, tmp_path, patience=2)
    # evaluated at steps 0, 3, 6, 9: of equals the earlier counts, two without a lower loss end it
    assert [point["step"] for point in loop.evaluations] == [0, 3, 6, 9]
    assert (loop.step, loop.choice) == (9, "step 3")
    killed = Task(dies_after=3, dev_losses=[5.0, 4.0])
    with pytest.raises(Killed):
        run(killed, tmp_path, "killed.state", patience=2)
    assert task.weights() == killed.weights()


def test_without_a_dev_split_the_last_weights_stay(tmp_path: Path) -> None:
    loop = run(Task(), tmp_path, evaluate=None)
    assert loop.choice == "step 12, the last: there is no dev split to choose by" and not loop.evaluations


def test_a_short_budget_cuts_the_plan(tmp_path: Path) -> None:
    loop = run(Task(), tmp_path, budget=0.05, steps=1_000_000, evaluations=1)
    assert loop.is_cut_short and 3 <= loop.step == loop.steps < 1_000_000
    assert loop.evaluations[-1]["step"] == loop.step


def test_a_state_of_another_training_or_a_broken_one_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.state"
    assert TrainingState(path, "one").load() is None
    assert not TrainingState(path, "one", save_seconds=60).save(lambda: {"step": 1})
    assert TrainingState(path, "one", save_seconds=60).save(lambda: {"step": 1}, now=True)
    assert TrainingState(path, "one").load() == {"step": 1}
    assert TrainingState(path, "two").load() is None
    path.write_bytes(path.read_bytes()[:-40])
    assert TrainingState(path, "one").load() is None


OLD_STATES: list[Callable[[Any], dict[str, Any]]] = [
    # of the generator and the reranker, of the retriever, and of a file with today's name
    lambda weights: {"key": "key", "state": {"weights": weights, "done": 7, "steps": 12, "looks": [], "losses": []}},
    lambda weights: {"key": "key", "state": {"weights": list(weights.values()), "taken": 7, "total": 12}},
    lambda weights: {"format": 0, "fingerprint": "key", "state": {"weights": weights}},
]


@pytest.mark.parametrize("old", OLD_STATES)
@pytest.mark.parametrize("name", ["toy.bookmark", "toy.state"])
def test_a_state_of_an_earlier_version_is_ignored_and_removed_at_the_end(
    tmp_path: Path, old: Callable[[Any], dict[str, Any]], name: str
) -> None:
    import torch

    whole = Task()
    expected = run(whole, tmp_path, "whole.state")
    torch.save(old(Task().model.state_dict()), tmp_path / name)
    task = Task()
    loop = run(task, tmp_path)
    assert loop.losses == expected.losses and task.weights() == whole.weights()
    (tmp_path / f"{name}.part-1").write_bytes(b"half-written")
    remove_states(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
