"""A training killed at ten random steps: each time it goes on, to the weights of one that was not killed.

SIGKILL, which no program can catch, at steps drawn at random over both courses of a generator's training (SFT, DPO)
and both roads of a retriever's; `--half=retriever` or `generator` for one of them. After each: no result, no
checkpoint that could be loaded unless it is whole, and a bookmark that can be read. Then a checkpoint that was cut
short on purpose is offered for loading. Small models of random weights, so that a kill costs seconds.
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

from common import artifacts
from tests.tiny import said, tiny_encoder, tiny_generator
from tuning.engine.data.examples import DEV, TRAIN, JudgedQuery, PassageText, write_passages, write_queries
from tuning.engine.process import training_process

KILLS = 10
ANIMALS = ["lion", "tiger", "zebra", "panda", "otter", "eagle", "crow", "shark", "whale", "snail"]


@dataclass(frozen=True)
class Half:
    """What is trained: its module, its courses with their steps, and whether a line counts through all of them."""

    module: str
    steps: dict[str, int]
    counts_through: bool
    specification: Callable[[Path], dict[str, Any]]

    def at(self, line: dict[str, Any]) -> int:
        """The steps done in all courses together."""
        names = list(self.steps)
        before = 0 if self.counts_through else sum(self.steps[n] for n in names[: names.index(line["candidate"])])
        return int(line["step"]) + before


def main(options: Sequence[str]) -> dict[str, Any]:
    given = dict(option.lstrip("-").split("=", 1) for option in options)
    wanted = given["half"].split(",") if "half" in given else list(HALVES)
    return {name: _measure(name, HALVES[name], int(given.get("seed", "0"))) for name in wanted}


def _measure(name: str, half: Half, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        (folder / "spec.json").write_text(json.dumps(half.specification(folder)))
        whole = _finish(half, folder, folder / "whole")
        targets = sorted(random.Random(seed).sample(range(1, sum(half.steps.values())), KILLS))
        kills = [_kill(half, folder, folder / "out", target) for target in targets]
        last = _finish(half, folder, folder / "out")
        cut = _cut_short(folder / "out")
    result = {
        "kills": kills,
        "went_on": sum(kill["went_on"] for kill in kills),
        "loadable_halves": sum(kill["half"] for kill in kills) + (not cut),
        "same_hash": _hash(last) == _hash(whole),
        "same_curves": _curves(last) == _curves(whole),
    }
    for kill in kills:
        print(f"  {name} killed at {kill['course']} step {kill['at']:3}; had begun at {kill['from']}", flush=True)
    print(
        f"{len(kills)} kills: {result['went_on']} of {KILLS - 1} went on, {result['loadable_halves']} half checkpoints"
    )
    print(f"the same weights as without a kill: {result['same_hash']}; the same curves: {result['same_curves']}")
    return result


def _hash(result: dict[str, Any]) -> str:
    return str(result.get("adapter_hash") or result["query_hash"])


def _curves(result: dict[str, Any]) -> Any:
    """The curves without their times."""
    return json.loads(json.dumps(result["curves"]), object_hook=lambda row: {k: row[k] for k in row if k != "seconds"})


def _kill(half: Half, folder: Path, out: Path, target: int) -> dict[str, Any]:
    """Start the training and kill it when it has done `target` steps of all courses together."""
    had = any(out.glob("*.bookmark"))
    process = _start(half, folder, out)
    while (line := _last(out, process.pid)) is None or half.at(line) < target:
        if process.poll() is not None:
            raise SystemExit(f"the training ended by itself: {process.returncode}")
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    went_on = had and "going on" in (out / training_process.METRICS).read_text()
    return {
        "course": line["candidate"],
        "at": line["step"],
        "from": "its bookmark" if went_on else "step 0",
        "went_on": went_on,
        "half": (out / training_process.RESULT).exists()
        or ((out / training_process.CHECKPOINT).exists() and not _is_whole(out)),
    }


def _last(out: Path, pid: int) -> dict[str, Any] | None:
    """The last step of the process that writes there now."""
    try:
        lines = (out / training_process.METRICS).read_text().split("\n")[:-1]
        own = json.loads((out / "pid").read_text()) == pid
    except (OSError, ValueError):
        return None
    steps = [json.loads(line) for line in lines if '"loss"' in line]
    return steps[-1] if own and steps else None


def _is_whole(out: Path) -> bool:
    try:
        artifacts.read_meta(out / training_process.CHECKPOINT)
    except artifacts.Damaged:
        return False
    return True


def _cut_short(out: Path) -> bool:
    """Whether a checkpoint that lacks its end is refused."""
    result = json.loads((out / training_process.RESULT).read_text())
    weights = next((out / training_process.CHECKPOINT).rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    try:
        artifacts.verify(out / training_process.CHECKPOINT, _hash(result))
    except artifacts.Damaged:
        return True
    return False


def _finish(half: Half, folder: Path, out: Path) -> dict[str, Any]:
    process = _start(half, folder, out)
    if process.wait() != 0:
        raise SystemExit(f"the training failed: {process.returncode}")
    found: dict[str, Any] = json.loads((out / training_process.RESULT).read_text())
    return found


def _start(half: Half, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    out.mkdir(exist_ok=True)
    (out / training_process.METRICS).unlink(missing_ok=True)
    command = [sys.executable, "-m", half.module, str(folder / "spec.json"), str(out)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    (out / "pid").write_text(str(process.pid))
    return process


def _generator(folder: Path) -> dict[str, Any]:
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
    many = {"epochs": 10_000, "patience": 10_000, "dpo_epochs": 10_000}
    return _files(folder, rows, [PassageText(name, f"A {name}.") for name in ANIMALS]) | {
        "candidates": str(folder / "lists.jsonl"),
        "drafted": str(folder / "lists.jsonl"),
        "base": str(tiny_generator(folder / "tiny")),
        "cache_dir": str(folder / "cache"),
        "prompt": "{passages} {question}",
        "refusal": "No.",
        "answer_passages": 1,
        "settings": many
        | {"most_steps": 120, "batch": 4, "dtype": "float32"}
        | {"dpo": True, "dpo_most_steps": 60, "dpo_batch": 4},
    }


def _retriever(folder: Path) -> dict[str, Any]:
    """60 passages of made-up words and a question for each: 48 to learn from, in three batches of 16."""
    passages = [[(at + step) % 30 for step in ((0, 7, 19), (0, 4, 11))[at // 30]] for at in range(60)]
    rows = [
        JudgedQuery(f"q{at}", said(words[:2], 30), {f"p{at}": 3.0}, split=DEV if at % 5 == 0 else TRAIN)
        for at, words in enumerate(passages)
    ]
    encoder = str(tiny_encoder(folder))
    return _files(folder, rows, [PassageText(f"p{at}", said(words, 0)) for at, words in enumerate(passages)]) | {
        "query_path": encoder,
        "passage_path": encoder,
        "settings": {
            "roads": ["query", "both"],
            "query_batch": 16,
            "query_epochs": 20,
            "both_batch": 16,
            "both_epochs": 40,
            "both_lr": 0.005,
        },
    }


def _files(folder: Path, rows: Sequence[JudgedQuery], passages: Sequence[PassageText]) -> dict[str, Any]:
    write_queries(folder / "queries.jsonl", rows)
    write_passages(folder / "passages.jsonl", passages)
    named = {"queries": str(folder / "queries.jsonl"), "passages": str(folder / "passages.jsonl")}
    return named | {"seed": 0, "threads": 1, "bookmark_seconds": 0.05}


HALVES = {
    "generator": Half("tuning.engine.generator.train_generator", {"sft": 120, "dpo": 60}, False, _generator),
    "retriever": Half("tuning.engine.retriever.train_retriever", {"query": 60, "both": 120}, True, _retriever),
}
