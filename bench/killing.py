"""Crash test of training: a training killed at ten random steps resumes and ends with the weights of one never killed.

SIGKILL, which no program can catch, at random steps of both training loops of a generator (SFT, DPO) and of two
training strategies of a retriever; `--component=retriever` or `generator` for one of them. After each kill: no result,
no checkpoint that could be loaded unless it is complete, and a training state that can be read. Then a truncated
checkpoint is offered for loading. Small models of random weights, so that a kill costs seconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench._options import parse
from common import artifacts
from tests.tiny_models import make_text, tiny_encoder, tiny_generator
from tuning.engine.data.examples import DEV, TRAIN, JudgedQuery, PassageText, write_passages, write_queries
from tuning.engine.process import training_process, training_state

KILLS = 10
ANIMALS = ["lion", "tiger", "zebra", "panda", "otter", "eagle", "crow", "shark", "whale", "snail"]


@dataclass(frozen=True)
class Component:
    """A component that is trained.

    module: its training process; steps: the steps of each training loop, in order; has_global_steps: whether the step
    numbers of the log go on from one loop to the next; write_specification: writes the files and returns their spec.
    """

    module: str
    steps: dict[str, int]
    has_global_steps: bool
    write_specification: Callable[[Path], dict[str, Any]]

    def steps_done(self, line: dict[str, Any]) -> int:
        """Return the steps done in all loops together."""
        names = list(self.steps)
        before = 0 if self.has_global_steps else sum(self.steps[n] for n in names[: names.index(line["candidate"])])
        return int(line["step"]) + before


def main(options: Sequence[str]) -> dict[str, Any]:
    values = parse(options)
    names = values.get("component", ",".join(COMPONENTS)).split(",")
    return {name: _measure(name, COMPONENTS[name], int(values.get("seed", "0"))) for name in names}


def _measure(name: str, component: Component, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        (folder / "spec.json").write_text(json.dumps(component.write_specification(folder)))
        reference = _finish(component, folder, folder / "reference")
        targets = sorted(random.Random(seed).sample(range(1, sum(component.steps.values())), KILLS))
        kills = [_kill(component, folder, folder / "out", target) for target in targets]
        last = _finish(component, folder, folder / "out")
        is_refused = _truncated_is_refused(folder / "out")
    result = {
        "kills": kills,
        "resumed": sum(kill["resumed"] for kill in kills),
        "loadable_truncated": sum(kill["truncated"] for kill in kills) + (not is_refused),
        "same_hash": _hash(last) == _hash(reference),
        "same_curves": _curves(last) == _curves(reference),
    }
    for kill in kills:
        print(f"  {name} killed at {kill['loop']} step {kill['step']:3}; started from {kill['from']}", flush=True)
    print(
        f"{len(kills)} kills: {result['resumed']} of {KILLS - 1} resumed, "
        f"{result['loadable_truncated']} truncated checkpoints could be loaded"
    )
    print(f"the same weights as without a kill: {result['same_hash']}; the same curves: {result['same_curves']}")
    return result


def _hash(result: dict[str, Any]) -> str:
    """Return the hash of the checkpoint."""
    return str(result.get("adapter_hash") or result["query_hash"])


def _curves(result: dict[str, Any]) -> Any:
    """Return the curves without their times."""
    return json.loads(json.dumps(result["curves"]), object_hook=lambda row: {k: row[k] for k in row if k != "seconds"})


def _kill(component: Component, folder: Path, out: Path, target: int) -> dict[str, Any]:
    """Start the training and kill it when it has done `target` steps of all loops together."""
    had_state = any(out.glob(f"*{training_state.SUFFIX}"))
    process = _start(component, folder, out)
    while (line := _last_step(out, process.pid)) is None or component.steps_done(line) < target:
        if process.poll() is not None:
            raise SystemExit(f"the training ended by itself: {process.returncode}")
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = had_state and training_state.RESUMED in (out / training_process.METRICS).read_text()
    return {
        "loop": line["candidate"],
        "step": line["step"],
        "from": "its training state" if resumed else "step 0",
        "resumed": resumed,
        "truncated": (out / training_process.RESULT).exists()
        or ((out / training_process.CHECKPOINT).exists() and not _is_complete(out)),
    }


def _last_step(out: Path, pid: int) -> dict[str, Any] | None:
    """Return the log line of the last step of this process, or None before its first step."""
    try:
        lines = (out / training_process.METRICS).read_text().split("\n")[:-1]
        is_own = json.loads((out / "pid").read_text()) == pid
    except (OSError, ValueError):
        return None
    steps = [json.loads(line) for line in lines if '"loss"' in line]
    return steps[-1] if is_own and steps else None


def _is_complete(out: Path) -> bool:
    """Return whether the checkpoint can be opened."""
    try:
        artifacts.read_meta(out / training_process.CHECKPOINT)
    except artifacts.Damaged:
        return False
    return True


def _truncated_is_refused(out: Path) -> bool:
    """Cut the end of the checkpoint's weights, and return whether it is refused."""
    result = json.loads((out / training_process.RESULT).read_text())
    weights = next((out / training_process.CHECKPOINT).rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    try:
        artifacts.verify(out / training_process.CHECKPOINT, _hash(result))
    except artifacts.Damaged:
        return True
    return False


def _finish(component: Component, folder: Path, out: Path) -> dict[str, Any]:
    """Train to the end and return the result."""
    process = _start(component, folder, out)
    if process.wait() != 0:
        raise SystemExit(f"the training failed: {process.returncode}")
    result: dict[str, Any] = json.loads((out / training_process.RESULT).read_text())
    return result


def _start(component: Component, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    out.mkdir(exist_ok=True)
    (out / training_process.METRICS).unlink(missing_ok=True)
    command = [sys.executable, "-m", component.module, str(folder / "spec.json"), str(out)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    (out / "pid").write_text(str(process.pid))
    return process


def _generator_spec(folder: Path) -> dict[str, Any]:
    """Write twenty queries with ten answers, and return the specification of their training."""
    rows = [
        JudgedQuery(
            str(number),
            f"Which one is number {number}?",
            {name: 3.0},
            answer=name,
            draft=f"not {name}s",
            split=DEV if number % 5 == 4 else TRAIN,
        )
        for number, name in enumerate(ANIMALS * 2)
    ]
    lists = "".join(json.dumps({"query_id": row.query_id, "passages": [row.answer]}) + "\n" for row in rows)
    (folder / "lists.jsonl").write_text(lists)
    unlimited = {"epochs": 10_000, "patience": 10_000, "dpo_epochs": 10_000}
    return _write_data(folder, rows, [PassageText(name, f"A {name}.") for name in ANIMALS]) | {
        "candidates": str(folder / "lists.jsonl"),
        "drafted": str(folder / "lists.jsonl"),
        "base": str(tiny_generator(folder / "tiny")),
        "cache_dir": str(folder / "cache"),
        "prompt": "{passages} {question}",
        "refusal": "No.",
        "answer_passages": 1,
        "settings": unlimited
        | {"max_steps": 120, "batch_size": 4, "dtype": "float32"}
        | {"dpo": True, "dpo_max_steps": 60, "dpo_batch_size": 4},
    }


def _retriever_spec(folder: Path) -> dict[str, Any]:
    """Write 60 passages of made-up words with a query each, 48 of them for training, and return the specification."""
    word_ids = [[(number + step) % 30 for step in ((0, 7, 19), (0, 4, 11))[number // 30]] for number in range(60)]
    rows = [
        JudgedQuery(f"q{number}", make_text(ids[:2], 30), {f"p{number}": 3.0}, split=TRAIN if number % 5 else DEV)
        for number, ids in enumerate(word_ids)
    ]
    passages = [PassageText(f"p{number}", make_text(ids, 0)) for number, ids in enumerate(word_ids)]
    encoder = str(tiny_encoder(folder))
    return _write_data(folder, rows, passages) | {
        "query_path": encoder,
        "passage_path": encoder,
        "settings": {
            "strategies": ["query", "both"],
            "query_batch_size": 16,
            "query_epochs": 20,
            "dual_batch_size": 16,
            "dual_epochs": 40,
            "dual_lr": 0.005,
        },
    }


def _write_data(folder: Path, rows: Sequence[JudgedQuery], passages: Sequence[PassageText]) -> dict[str, Any]:
    """Write queries and passages, and return the part of the specification that all trainings have."""
    write_queries(folder / "queries.jsonl", rows)
    write_passages(folder / "passages.jsonl", passages)
    paths = {"queries": str(folder / "queries.jsonl"), "passages": str(folder / "passages.jsonl")}
    return paths | {"seed": 0, "threads": 1, "state_seconds": 0.05}


COMPONENTS = {
    "generator": Component("tuning.engine.generator.train_generator", {"sft": 120, "dpo": 60}, False, _generator_spec),
    "retriever": Component(
        "tuning.engine.retriever.train_retriever", {"query": 60, "both": 120}, True, _retriever_spec
    ),
}
