"""A generator's training killed at ten random steps: each time it goes on, to the weights of one that was not killed.

SIGKILL, which no program can catch, at steps drawn at random over both of its courses. After each: no result, no
checkpoint that could be loaded unless it is whole, and a bookmark that can be read. Then a checkpoint that was cut
short on purpose is offered for loading. A small model of random weights, so that a kill costs seconds.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval.engine import artifacts
from tests.tiny import tiny_generator
from tuning.engine import fitting
from tuning.engine.examples import DEV, TRAIN, JudgedQuery, PassageText, write_passages, write_queries

KILLS = 10
STEPS = {"sft": 120, "dpo": 60}
ANIMALS = ["lion", "tiger", "zebra", "panda", "otter", "eagle", "crow", "shark", "whale", "snail"]


def main(options: Sequence[str]) -> dict[str, Any]:
    seed = next((int(option.split("=")[1]) for option in options if option.startswith("--seed=")), 0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = _specification(folder)
        whole = _finish(spec, folder / "whole")
        targets = sorted(random.Random(seed).sample(range(1, sum(STEPS.values())), KILLS))
        kills = [_kill(spec, folder / "out", target) for target in targets]
        last = _finish(spec, folder / "out")
        cut = _cut_short(folder / "out")
    result = {
        "kills": kills,
        "went_on": sum(kill["went_on"] for kill in kills),
        "loadable_halves": sum(kill["half"] for kill in kills) + (not cut),
        "same_hash": last["adapter_hash"] == whole["adapter_hash"],
        "same_curves": last["curves"] == whole["curves"],
    }
    for kill in kills:
        print(f"  killed at {kill['course']} step {kill['at']:3}; had begun at {kill['from']}", flush=True)
    print(
        f"{len(kills)} kills: {result['went_on']} of {KILLS - 1} went on, {result['loadable_halves']} half checkpoints"
    )
    print(f"the same weights as without a kill: {result['same_hash']}; the same curves: {result['same_curves']}")
    return result


def _kill(spec: Path, out: Path, target: int) -> dict[str, Any]:
    """Start the training and kill it when it has done `target` steps of both courses together."""
    had = any(out.glob("*.bookmark"))
    process = _start(spec, out)
    while (line := _last(out, process.pid)) is None or line["at"] < target:
        if process.poll() is not None:
            raise SystemExit(f"the training ended by itself: {process.returncode}")
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    began = json.loads((out / fitting.METRICS).read_text().splitlines()[1])
    return {
        "course": line["course"],
        "at": line["step"],
        "from": "step 0" if not had else began.get("note", ""),
        "went_on": had and "going on" in (out / fitting.METRICS).read_text(),
        "half": (out / fitting.RESULT).exists() or ((out / fitting.CHECKPOINT).exists() and not _is_whole(out)),
    }


def _last(out: Path, pid: int) -> dict[str, Any] | None:
    """The last step of the process that writes there now."""
    try:
        lines = (out / fitting.METRICS).read_text().split("\n")[:-1]
        own = json.loads((out / "pid").read_text()) == pid
    except (OSError, ValueError):
        return None
    steps = [json.loads(line) for line in lines if '"loss"' in line]
    if not own or not steps:
        return None
    course = steps[-1]["candidate"]
    return {
        "course": course,
        "step": steps[-1]["step"],
        "at": steps[-1]["step"] + (STEPS["sft"] if course == "dpo" else 0),
    }


def _is_whole(out: Path) -> bool:
    try:
        artifacts.read_meta(out / fitting.CHECKPOINT)
    except artifacts.Damaged:
        return False
    return True


def _cut_short(out: Path) -> bool:
    """Whether a checkpoint that lacks its end is refused."""
    result = json.loads((out / fitting.RESULT).read_text())
    weights = next((out / fitting.CHECKPOINT).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    try:
        artifacts.verify(Path(result["adapter_path"]), result["adapter_hash"])
    except artifacts.Damaged:
        return True
    return False


def _finish(spec: Path, out: Path) -> dict[str, Any]:
    process = _start(spec, out)
    if process.wait() != 0:
        raise SystemExit(f"the training failed: {process.returncode}")
    found: dict[str, Any] = json.loads((out / fitting.RESULT).read_text())
    return found


def _start(spec: Path, out: Path) -> subprocess.Popen[bytes]:
    out.mkdir(exist_ok=True)
    (out / fitting.METRICS).unlink(missing_ok=True)
    command = [sys.executable, "-m", "tuning.engine.fit_generator", str(spec), str(out)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    (out / "pid").write_text(str(process.pid))
    return process


def _specification(folder: Path) -> Path:
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
    write_queries(folder / "queries.jsonl", rows)
    write_passages(folder / "passages.jsonl", [PassageText(name, f"A {name}.") for name in ANIMALS])
    lists = "".join(json.dumps({"query_id": row.query_id, "passages": [row.answer]}) + "\n" for row in rows)
    (folder / "lists.jsonl").write_text(lists)
    many = {"epochs": 10_000, "patience": 10_000, "dpo_epochs": 10_000}
    spec = {
        "queries": str(folder / "queries.jsonl"),
        "passages": str(folder / "passages.jsonl"),
        "candidates": str(folder / "lists.jsonl"),
        "drafted": str(folder / "lists.jsonl"),
        "base": str(tiny_generator(folder / "tiny")),
        "cache_dir": str(folder / "cache"),
        "prompt": "{passages} {question}",
        "refusal": "No.",
        "answer_passages": 1,
        "seed": 0,
        "threads": 1,
        "bookmark_seconds": 0.05,
        "settings": many
        | {"most_steps": STEPS["sft"], "batch": 4, "dtype": "float32"}
        | {"dpo": True, "dpo_most_steps": STEPS["dpo"], "dpo_batch": 4},
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    return folder / "spec.json"
