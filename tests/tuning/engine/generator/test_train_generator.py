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
from tests.tiny_models import tiny_generator
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
from tuning.engine.generator.answer_loss import TokenizedInstance, add_gradients, endless_batches
from tuning.engine.generator.generator_spec import GeneratorSettings, read_settings
from tuning.engine.process import training_process
from tuning.engine.process.training_loop import TrainingLoop
from tuning.engine.process.training_process import TrainingError
from tuning.engine.process.training_state import RESUMED

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
    rankings = [{"query_id": row.query_id, "passages": [row.answer]} for row in rows]
    (folder / "candidates.jsonl").write_text("\n".join(map(json.dumps, rankings)) + "\n")
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
        "settings": {"max_steps": 12, "epochs": 20, "batch_size": 4, "dtype": "float32", "lr": 0.02},
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec | changes))
    return path


def start(spec: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tuning.engine.generator.train_generator", str(spec), str(out)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


@pytest.fixture
def here(restored_process_state: None) -> Callable[[Path, Path], int]:
    """Runs a specification in this process."""
    return lambda spec, out: training_process.run_training(train_generator.train, [str(spec), str(out)])


Here = Callable[[Path, Path], int]


def result_of(out: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((out / "result.json").read_text())
    return result


@pytest.mark.slow
def test_it_learns_and_the_same_specification_gives_the_same_bytes(tiny: Path, tmp_path: Path, here: Here) -> None:
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
def test_a_stopped_training_leaves_nothing_loadable(tiny: Path, tmp_path: Path) -> None:
    settings = {"max_steps": 100_000, "epochs": 100_000, "patience": 100_000}
    out = tmp_path / "out"
    process = start(write_spec(tmp_path, tiny, settings=settings), out)
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists() or '"loss"' not in (out / "metrics.jsonl").read_text():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert {path.name for path in out.iterdir()} <= {"metrics.jsonl", "sft.state"}


class Killed(BaseException):
    """Stands for a signal nobody can catch."""


def kill_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The next training of this process ends right after that many further steps, its training state as it was."""
    real, left = TrainingLoop._take_step, [steps]

    def take_step(self: TrainingLoop, *arguments: Any) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        real(self, *arguments)

    monkeypatch.setattr(TrainingLoop, "_take_step", take_step)


def with_drafts(folder: Path, base: Path, **changes: Any) -> Path:
    """A specification whose queries have drafts that people edited."""
    path = write_spec(folder, base)
    rows = [replace(row, draft=f"not {row.answer}s") for row in read_queries(folder / "queries.jsonl")]
    write_queries(folder / "queries.jsonl", rows)
    spec = json.loads(path.read_text())
    settings = {"max_steps": 3, "dpo": True, "dpo_batch_size": 4, "dpo_max_steps": 4, "dpo_lr": 0.01}
    spec |= {"drafted": str(folder / "candidates.jsonl"), "state_seconds": 0} | changes
    path.write_text(json.dumps(spec | {"settings": spec["settings"] | settings | changes.get("settings", {})}))
    return path


def test_a_killed_training_resumes_and_ends_with_the_same_weights_and_curves(
    tiny: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, out = with_drafts(tmp_path, tiny), tmp_path / "out"
    assert here(spec, tmp_path / "whole") == 0
    whole = result_of(tmp_path / "whole")
    for steps in (2, 3):  # inside SFT, then inside DPO
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(patch, steps)
            here(spec, out)
        assert not (out / "checkpoint").exists() and not (out / "result.json").exists()
    # a half-written state is ignored
    (out / "dpo.state.part-1").write_bytes((out / "dpo.state").read_bytes()[:100])
    assert here(spec, out) == 0
    result = result_of(out)
    assert result["adapter_hash"] == whole["adapter_hash"]
    assert result["curves"] == whole["curves"]
    assert not list(out.glob("*.state"))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert any(line.get("note") == RESUMED for line in lines)
    for name, points in (("sft", whole["curves"]["loss"]), ("dpo", whole["curves"]["dpo"]["loss"])):
        assert [
            [line["step"], line["loss"]] for line in lines if line.get("candidate") == name and "loss" in line
        ] == points


def test_dpo_on_edited_drafts_follows_sft(tiny: Path, tmp_path: Path, here: Here) -> None:
    assert here(with_drafts(tmp_path, tiny), tmp_path / "out") == 0
    result = result_of(tmp_path / "out")
    record = result["record"]
    assert record["pairs"] == {"train": 16, "dev": 4, "why_unused": ""}
    assert record["dpo_steps"] == 4
    evaluations = result["curves"]["dpo"]["dev"]
    assert evaluations[-1]["loss"] < evaluations[0]["loss"]
    assert result["choice"].startswith("sft: step") and "; dpo: step" in result["choice"]


@pytest.mark.parametrize(
    "changes, why",
    [({"drafted": None}, "not known"), ({"settings": {"dpo_min_pairs": 17}}, "16 edited drafts are too few")],
)
def test_without_enough_pairs_sft_is_all_and_the_record_says_why(
    tiny: Path, tmp_path: Path, here: Here, changes: dict[str, Any], why: str
) -> None:
    assert here(with_drafts(tmp_path, tiny, **changes), tmp_path / "out") == 0
    record = result_of(tmp_path / "out")["record"]
    assert record["dpo_steps"] == 0
    assert why in record["pairs"]["why_unused"]


def test_too_few_instances_are_refused_in_one_line(
    tiny: Path, tmp_path: Path, here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_spec(tmp_path, tiny, settings={"min_instances": 1000, "dtype": "float32"})
    assert here(spec, tmp_path / "out") == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith("too few to learn from")
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.slow
def test_a_budget_that_is_too_short_ends_it_early_and_the_record_says_so(
    tiny: Path, tmp_path: Path, here: Here
) -> None:
    settings = {"max_steps": 1_000_000, "epochs": 1_000_000, "patience": 1_000_000, "dtype": "float32"}
    assert here(write_spec(tmp_path, tiny, settings=settings, budget_seconds=3), tmp_path / "out") == 0
    record = result_of(tmp_path / "out")["record"]
    assert record["cut_short"]
    assert record["steps"] < record["steps_planned"]


def test_known_answers_are_those_given_without_a_passage(tiny: Path) -> None:
    generator = TextGenerator(tiny)
    recipe = Recipe("{passages} {question}", "No.", 1)
    (said,) = generator.generate(["(no text) Who?"])
    rows = [JudgedQuery("1", "Who?", answer=said), JudgedQuery("2", "Who?", answer="somebody else entirely")]
    assert training_data._known_queries(rows, recipe, generator, seed=0) == {"1"}


def test_settings_of_an_earlier_version_are_read() -> None:
    old = {"rank": 4, "batch": 2, "most_steps": 3, "looks": 1, "least_pairs": 5, "dpo_most_steps": 7, "lr": 0.1}
    assert read_settings(old) == GeneratorSettings(
        lora_rank=4, batch_size=2, max_steps=3, evaluations=1, dpo_min_pairs=5, dpo_max_steps=7, lr=0.1
    )


@pytest.mark.parametrize("values", [{"ranks": 8}, {"lora_rank": 0}, {"lr": "fast"}, {"epochs": True}, {"dpo": "yes"}])
def test_settings_of_unknown_name_or_wrong_kind_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(TrainingError):
        read_settings(values)


def make_instances(count: int) -> list[TokenizedInstance]:
    rng = np.random.default_rng(0)

    def ids(length: int) -> list[int]:
        return [int(token) for token in rng.integers(3, 200, length)]

    return [
        TokenizedInstance(log_likelihood.PromptAnswer(ids(5 + 3 * number), ids(1 + number % 4)))
        for number in range(count)
    ]


@pytest.fixture
def adapted(tiny: Path) -> Any:
    model = TextGenerator(tiny).model
    return train_generator._add_lora(model, GeneratorSettings(), seed=0)


def gradient(model: Any) -> np.ndarray[Any, Any]:
    grads = [weight.grad.flatten().numpy() for weight in model.parameters() if weight.requires_grad]
    model.zero_grad()
    return np.concatenate(grads)


def test_one_batch_of_eight_is_eight_of_one(adapted: Any) -> None:
    batch = make_instances(8)
    one_loss = add_gradients(adapted, batch, micro_batch_tokens=10_000)
    together = gradient(adapted)
    eight_loss = add_gradients(adapted, batch, micro_batch_tokens=1)
    assert one_loss == pytest.approx(eight_loss, rel=1e-5)
    np.testing.assert_allclose(together, gradient(adapted), atol=1e-5)


def test_the_loss_is_that_of_the_answer_tokens_alone(adapted: Any) -> None:
    import torch

    batch = make_instances(3)
    total = count = 0.0
    for prompt, answer in (instance.ids for instance in batch):
        labels = torch.tensor([[-100] * len(prompt) + answer])
        loss = adapted(input_ids=torch.tensor([prompt + answer]), labels=labels).loss
        total, count = total + float(loss.detach()) * len(answer), count + len(answer)
    assert add_gradients(adapted, batch, micro_batch_tokens=10_000) == pytest.approx(total / count, rel=1e-5)


def test_an_epoch_is_every_instance_once_in_a_new_order() -> None:
    train = make_instances(50)
    stream = endless_batches(train, 8, seed=1)
    epochs = [[next(stream) for _ in range(7)] for _ in range(2)]
    for epoch in epochs:
        assert sorted(id(instance) for batch in epoch for instance in batch) == sorted(map(id, train))
    assert epochs[0] != epochs[1]
    again = endless_batches(train, 8, seed=1)
    assert [next(again) for _ in range(7)] == epochs[0]
