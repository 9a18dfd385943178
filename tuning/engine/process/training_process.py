"""A training as a process: a specification in, lines of progress while it runs, a result at its end.

`python -m tuning.engine.<fit> SPEC.json OUT/` writes OUT/metrics.jsonl as it goes, and at the end
OUT/checkpoint/ and OUT/result.json, in this order: a result is only there when everything it names is whole.
SIGTERM ends it cleanly with status 143. A stated reason (too little to learn from …) is one line on standard
error and status 1.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from common import artifacts

METRICS, RESULT, CHECKPOINT = "metrics.jsonl", "result.json", "checkpoint"
BOOKMARK = ".bookmark"  # how the names end of what a killed training goes on from, see checkpoints


class CannotFit(Exception):
    """Why a training cannot be done, in one line a curator could read."""


def known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, all of them fields of the dataclass: none is lost in a typo. Raises CannotFit."""
    there = {entry.name for entry in fields(kind)}
    if unknown := sorted(set(values) - there):
        raise CannotFit(
            f"the specification has keys nobody knows: {', '.join(unknown)}; there are {', '.join(sorted(there))}."
        )
    return dict(values)


def check_positive(settings: Any, names: Sequence[str]) -> None:
    """Raises CannotFit for one of these settings that is no number above 0."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            raise CannotFit(f"{name} must be a number above 0.")


class Log:
    """The lines of metrics.jsonl, each on the disk as soon as it is written, each with the seconds since the start."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the training began."""
        return time.monotonic() - self._start

    def write(self, step: int, steps: int, *, seconds_left: float, **values: Any) -> None:
        """One line; values that are None are left out."""
        line: dict[str, Any] = {"step": step, "steps": steps, "seconds": round(self.seconds, 2)}
        line["seconds_left"] = round(max(seconds_left, 0.0), 1)
        line |= {name: value for name, value in values.items() if value is not None}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")


def run(fit: Callable[[dict[str, Any], Path, Log], dict[str, Any]], arguments: list[str]) -> int:
    """Carry one fit from its specification to its result; the status to exit with."""
    signal.signal(signal.SIGTERM, _end)
    if len(arguments) != 2:
        print("usage: SPEC.json OUT/", file=sys.stderr)
        return 2
    spec_path, out = Path(arguments[0]), Path(arguments[1])
    out.mkdir(parents=True, exist_ok=True)
    try:
        spec = json.loads(spec_path.read_text(encoding="utf-8"))
        result = fit(spec, out, Log(out / METRICS))
    except (CannotFit, OSError, ValueError, KeyError) as error:
        said = f"the specification lacks {error}" if isinstance(error, KeyError) else str(error)
        print((said.strip().splitlines() or [type(error).__name__])[0], file=sys.stderr)
        return 1
    text = json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    artifacts.write_file(out / RESULT, lambda part: _write(part, text))
    for bookmark in out.glob(f"*{BOOKMARK}"):  # only now is there nothing left to go on with
        bookmark.unlink()
    return 0


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
