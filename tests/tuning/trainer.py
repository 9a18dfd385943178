"""A training of a given duration that learns nothing, for tests of everything around a training.

`python -m tests.tuning.trainer SPEC OUT` keeps the process protocol of the real trainers. Its settings, in those of the
retriever: seconds, fail (a reason), mark (changes the hash of the result). Every start adds a line to OUT/starts.txt.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from common import artifacts


def main() -> int:
    specification, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    settings = specification["settings"]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    with (out / "starts.txt").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    steps = 10
    for step in range(1, steps + 1):
        time.sleep(settings.get("seconds", 0) / steps)
        line = {"step": step, "steps": steps, "loss": 1 / step, "seconds": step, "seconds_left": steps - step}
        with (out / "metrics.jsonl").open("a") as metrics:
            metrics.write(json.dumps(line) + "\n")
    if settings.get("fail"):
        sys.stderr.write(settings["fail"] + "\n")
        return 1
    is_reranker = "query_hash" not in specification  # its result: dev is better without a reranker
    result = {"depth": 20, "share": 0.5} if is_reranker else _save_copy(specification, out, settings)
    part = out / "result.part"
    part.write_text(json.dumps(result | {"choice": "copy", "curves": {}, "record": {"seed": specification["seed"]}}))
    part.rename(out / "result.json")
    return 0


def _save_copy(specification: dict[str, Any], out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Save the base's weights under another name and return the sides: another hash, the same vectors."""
    target = out / "checkpoint"
    shutil.rmtree(target, ignore_errors=True)

    def fill(folder: Path) -> None:
        shutil.copytree(specification["query_path"], folder, dirs_exist_ok=True)

    digest = artifacts.write_folder(target, fill, {"seed": specification["seed"], "mark": settings.get("mark", "")})
    return {
        "query_path": str(target),
        "passage_path": str(target),
        "query_hash": digest,
        "passage_hash": digest,
    }


if __name__ == "__main__":
    raise SystemExit(main())
