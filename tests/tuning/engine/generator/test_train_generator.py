"""The generator's training: its process from outside, its arithmetic from inside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common import artifacts
from curation.engine.generation import log_likelihood
from curation.engine.generation.generator import TextGenerator
from tests.tiny import tiny_generator
from tuning.engine.data.examples import (
    DEV,
    TRAIN,
    JudgedQuery,
    PassageText,
    read_queries,
    write_passages,
    write_queries,
)
from tuning.engine.data.instances import Recipe
from tuning.engine.generator import train_generator, training_data
from tuning.engine.generator.answer_loss import Example, batches, gradients, pace
from tuning.engine.generator.generator_spec import Settings, read_settings
from tuning.engine.process import training_process
from tuning.engine.process.checkpoints import Bookmark
from tuning.engine.process.training_loop import Course
from tuning.engine.process.training_process import CannotFit

ANIMALS = ["lion", "tiger", "zebra", "panda", "otter", "eagle", "crow", "shark", "whale", "snail"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_generator(tmp_path_factory.mktemp("weights") / "tiny")


def write_spec(folder: Path, base: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        JudgedQuery(
            query_id=str(number),
            text=f"Which one is number {number}?",
            grades={name: 3.0},
            answer=name,
            split=DEV if number % 5 == 4 else TRAIN,
        )
        for number, name in enumerate(ANIMALS * 2)
    ]
    write_queries(folder / "queries.jsonl", rows)
    write_passages(folder / "passages.jsonl", [PassageText(name, f"A {name}.") for name in ANIMALS])
    found = [{"query_id": row.query_id, "passages": [row.answer]} for row in rows]
    (folder / "candidates.jsonl").write_text("\n".join(map(json.dumps, found)) + "\n")
    spec = {
        "seed": 3,
        "threads": 1,
        "budget_seconds": 300,
        "queries": str(folder / "queries.jsonl"),
        "passages": str(folder / "passages.jsonl"),
        "candidates": str(folder / "candidates.jsonl"),
        "base": str(base),
        "cache_dir": str(folder / "cache"),
        "prompt": "{passages} {question}",
        "refusal": "No.",
        "answer_passages": 1,
        "settings": {"most_steps": 12, "epochs": 20, "batch": 4, "dtype": "float32", "lr": 0.02},
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec | changes))
    return path


def start(spec: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tuning.engine.generator.train_generator", str(spec), str(out)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


@pytest.fixture
def here(left_as_it_was: None) -> Callable[[Path, Path], int]:
    """Runs a specification in this process."""
    return lambda spec, out: training_process.run(train_generator.fit, [str(spec), str(out)])


Here = Callable[[Path, Path], int]


def result_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "result.json").read_text())
    return found


@pytest.mark.slow
def test_it_learns_leaves_a_loadable_adapter_and_does_so_again_to_the_bit(
    tiny: Path, tmp_path: Path, here: Here
) -> None:
    spec, out = write_spec(tmp_path, tiny), tmp_path / "out"
    process = start(spec, out)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    result = result_of(out)
    artifacts.verify(Path(result["adapter_path"]), result["adapter_hash"])
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    assert all(line["seconds_left"] >= 0 for line in lines)
    assert result["record"]["steps"] == len(losses)
    pairs = [("A lion. Which one is number 0?", "lion")]
    assert TextGenerator(tiny, result["adapter_path"]).score(pairs)[0] > TextGenerator(tiny).score(pairs)[0]
    # The same specification in another process, and one that differs in its seed alone.
    assert here(spec, tmp_path / "again") == 0
    assert result_of(tmp_path / "again")["adapter_hash"] == result["adapter_hash"]
    assert here(write_spec(tmp_path / "other", tiny, seed=4), tmp_path / "third") == 0
    assert result_of(tmp_path / "third")["adapter_hash"] != result["adapter_hash"]


@pytest.mark.slow
def test_a_request_to_end_leaves_nothing_that_could_be_loaded(tiny: Path, tmp_path: Path) -> None:
    settings = {"most_steps": 100_000, "epochs": 100_000, "patience": 100_000}
    out = tmp_path / "out"
    process = start(write_spec(tmp_path, tiny, settings=settings), out)
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists() or '"loss"' not in (out / "metrics.jsonl").read_text():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert {path.name for path in out.iterdir()} <= {"metrics.jsonl", "sft.bookmark"}


class Killed(BaseException):
    """Stands for a signal nobody can catch."""


def kill_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The next training of this process ends right after that many further steps, its bookmark as it was."""
    real, left = Course._step, [steps]

    def step(self: Course, *given: Any) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        real(self, *given)

    monkeypatch.setattr(Course, "_step", step)


def with_drafts(folder: Path, base: Path, **changes: Any) -> Path:
    """A specification whose queries have drafts that people edited."""
    path = write_spec(folder, base)
    rows = [replace(row, draft=f"not {row.answer}s") for row in read_queries(folder / "queries.jsonl")]
    write_queries(folder / "queries.jsonl", rows)
    spec = json.loads(path.read_text())
    settings = {"most_steps": 3, "dpo": True, "dpo_batch": 4, "dpo_most_steps": 4, "dpo_lr": 0.01}
    spec |= {"drafted": str(folder / "candidates.jsonl"), "bookmark_seconds": 0} | changes
    path.write_text(json.dumps(spec | {"settings": spec["settings"] | settings | changes.get("settings", {})}))
    return path


def test_a_killed_training_goes_on_and_ends_where_it_would_have_ended(
    tiny: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, out = with_drafts(tmp_path, tiny), tmp_path / "out"
    assert here(spec, tmp_path / "whole") == 0
    whole = result_of(tmp_path / "whole")
    for steps in (2, 3):  # inside the first course, then inside the second
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(patch, steps)
            here(spec, out)
        assert not (out / "checkpoint").exists() and not (out / "result.json").exists()
    # what is half written or of another training is not taken up
    (out / "dpo.bookmark.part-1").write_bytes((out / "dpo.bookmark").read_bytes()[:100])
    assert here(spec, out) == 0
    result = result_of(out)
    assert result["adapter_hash"] == whole["adapter_hash"]
    assert result["curves"] == whole["curves"]
    assert not list(out.glob("*.bookmark"))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert any("going on" in line.get("note", "") for line in lines)
    for name, points in (("sft", whole["curves"]["loss"]), ("dpo", whole["curves"]["dpo"]["loss"])):
        assert [
            [line["step"], line["loss"]] for line in lines if line.get("candidate") == name and "loss" in line
        ] == points


def test_a_bookmark_of_another_training_or_a_broken_one_is_not_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "a.bookmark"
    assert Bookmark(path, "one").load() is None
    assert not Bookmark(path, "one", every_seconds=60).save(lambda: {"done": 1})
    assert Bookmark(path, "one", every_seconds=60).save(lambda: {"done": 1}, now=True)
    assert Bookmark(path, "one").load() == {"done": 1}
    assert Bookmark(path, "two").load() is None
    path.write_bytes(path.read_bytes()[:-40])
    assert Bookmark(path, "one").load() is None


def test_edited_drafts_are_preferred_after_the_answers(tiny: Path, tmp_path: Path, here: Here) -> None:
    assert here(with_drafts(tmp_path, tiny), tmp_path / "out") == 0
    result = result_of(tmp_path / "out")
    record = result["record"]
    assert record["pairs"] == {"train": 16, "dev": 4, "why_unused": ""}
    assert record["dpo_steps"] == 4
    looks = result["curves"]["dpo"]["dev"]
    assert looks[-1]["loss"] < looks[0]["loss"]
    assert result["choice"].startswith("sft: step") and "; dpo: step" in result["choice"]


@pytest.mark.parametrize(
    "changes, why",
    [({"drafted": None}, "not known"), ({"settings": {"least_pairs": 17}}, "16 edited drafts are too few")],
)
def test_without_enough_pairs_the_answers_are_all_and_the_record_says_why(
    tiny: Path, tmp_path: Path, here: Here, changes: dict[str, Any], why: str
) -> None:
    assert here(with_drafts(tmp_path, tiny, **changes), tmp_path / "out") == 0
    record = result_of(tmp_path / "out")["record"]
    assert record["dpo_steps"] == 0
    assert why in record["pairs"]["why_unused"]


def test_too_little_to_learn_from_is_said_in_one_line(
    tiny: Path, tmp_path: Path, here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_spec(tmp_path, tiny, settings={"least_instances": 1000, "dtype": "float32"})
    assert here(spec, tmp_path / "out") == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith("too few to learn from")
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.slow
def test_a_budget_that_is_too_short_ends_it_early_and_the_record_says_so(
    tiny: Path, tmp_path: Path, here: Here
) -> None:
    settings = {"most_steps": 1_000_000, "epochs": 1_000_000, "patience": 1_000_000, "dtype": "float32"}
    assert here(write_spec(tmp_path, tiny, settings=settings, budget_seconds=3), tmp_path / "out") == 0
    record = result_of(tmp_path / "out")["record"]
    assert record["cut_short"]
    assert record["steps"] < record["steps_planned"]


def test_what_the_generator_knows_is_asked_without_a_passage(tiny: Path) -> None:
    generator = TextGenerator(tiny)
    recipe = Recipe("{passages} {question}", "No.", 1)
    (said,) = generator.generate(["(no text) Who?"])
    rows = [JudgedQuery("1", "Who?", answer=said), JudgedQuery("2", "Who?", answer="somebody else entirely")]
    assert training_data._known(rows, recipe, generator, seed=0) == {"1"}


@pytest.mark.parametrize("values", [{"ranks": 8}, {"rank": 0}, {"lr": "fast"}, {"epochs": True}, {"dpo": "yes"}])
def test_settings_that_cannot_be_meant_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(CannotFit):
        read_settings(values)


def some_examples(count: int) -> list[Example]:
    chance = np.random.default_rng(0)

    def ids(length: int) -> list[int]:
        return [int(token) for token in chance.integers(3, 200, length)]

    return [Example(log_likelihood.Pair(ids(5 + 3 * place), ids(1 + place % 4))) for place in range(count)]


@pytest.fixture
def adapted(tiny: Path) -> Any:
    model = TextGenerator(tiny).model
    return train_generator._with_adapter(model, Settings(), seed=0)


def gradient(model: Any) -> np.ndarray[Any, Any]:
    grads = [weight.grad.flatten().numpy() for weight in model.parameters() if weight.requires_grad]
    model.zero_grad()
    return np.concatenate(grads)


def test_one_batch_of_eight_is_eight_of_one(adapted: Any) -> None:
    batch = some_examples(8)
    one_loss = gradients(adapted, batch, batch_tokens=10_000)
    together = gradient(adapted)
    eight_loss = gradients(adapted, batch, batch_tokens=1)
    assert one_loss == pytest.approx(eight_loss, rel=1e-5)
    np.testing.assert_allclose(together, gradient(adapted), atol=1e-5)


def test_the_loss_is_that_of_the_answer_tokens_alone(adapted: Any) -> None:
    import torch

    batch = some_examples(3)
    total = count = 0.0
    for prompt, answer in (example.pair for example in batch):
        labels = torch.tensor([[-100] * len(prompt) + answer])
        loss = adapted(input_ids=torch.tensor([prompt + answer]), labels=labels).loss
        total, count = total + float(loss.detach()) * len(answer), count + len(answer)
    assert gradients(adapted, batch, batch_tokens=10_000) == pytest.approx(total / count, rel=1e-5)


def test_an_epoch_is_every_example_once_in_an_order_of_its_own() -> None:
    train = some_examples(50)
    stream = batches(train, 8, seed=1)
    epochs = [[next(stream) for _ in range(7)] for _ in range(2)]
    for epoch in epochs:
        assert sorted(id(example) for batch in epoch for example in batch) == sorted(map(id, train))
    assert epochs[0] != epochs[1]
    again = batches(train, 8, seed=1)
    assert [next(again) for _ in range(7)] == epochs[0]


def test_the_pace_rises_in_a_line_and_falls_to_zero() -> None:
    # ten steps, a tenth of them warm-up: full at once, half way down at step 1 + 9/2, zero after the last
    assert pace(0, 10, 0.1) == 1.0
    assert pace(1, 10, 0.1) == 1.0
    assert pace(10, 10, 0.1) == pytest.approx(0.0)
    assert pace(0, 10, 0.4) == 0.25
