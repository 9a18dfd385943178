"""The training process: a specification in, metrics while it trains, a result at its end.

`python -m tuning.engine.<trainer> SPEC.json OUT/` writes OUT/metrics.jsonl as it goes, and at the end
OUT/checkpoint/ and OUT/result.json, in this order: where there is a result, everything it names is complete.
SIGTERM ends it cleanly with status 143. A stated reason (too few examples to learn from …) is one line on standard
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
from tuning.engine.process import training_state

METRICS, RESULT, CHECKPOINT = "metrics.jsonl", "result.json", "checkpoint"


class TrainingError(Exception):
    """The reason why a training cannot be carried out, in one line for a curator."""


def check_fields(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values if each is a field of the dataclass, so that a typo is an error. Raises TrainingError."""
    names = {entry.name for entry in fields(kind)}
    if unknown := sorted(set(values) - names):
        raise TrainingError(
            f"the specification has unknown keys: {', '.join(unknown)}; the known ones are {', '.join(sorted(names))}."
        )
    return dict(values)


def check_positive(settings: Any, names: Sequence[str]) -> None:
    """Raise TrainingError for one of these settings that is not a number above 0."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            raise TrainingError(f"{name} must be a number above 0.")


class MetricsLog:
    """The lines of metrics.jsonl: each is on the disk as soon as it is written.

    The seconds of a line count from the start of the training, in this process and in those that were killed.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._start = time.monotonic()
        self._earlier = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the training began."""
        return self._earlier + time.monotonic() - self._start

    def add_earlier(self, seconds: float) -> None:
        """Count the seconds that killed processes had spent when they saved their state; the longest one counts."""
        self._earlier = max(self._earlier, seconds)

    def write(self, step: int, steps: int, *, seconds_left: float, **values: Any) -> None:
        """Write one line; values that are None are left out. `seconds` among the values replaces those of the log."""
        line: dict[str, Any] = {"step": step, "steps": steps, "seconds": round(self.seconds, 2)}
        line["seconds_left"] = round(max(seconds_left, 0.0), 1)
        line |= {name: value for name, value in values.items() if value is not None}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")


def run_training(train: Callable[[dict[str, Any], Path, MetricsLog], dict[str, Any]], arguments: list[str]) -> int:
    """Carry a training from its specification to its result; return the exit status."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    if len(arguments) != 2:
        print("usage: SPEC.json OUT/", file=sys.stderr)
        return 2
    spec_path, out = Path(arguments[0]), Path(arguments[1])
    out.mkdir(parents=True, exist_ok=True)
    try:
        spec = json.loads(spec_path.read_text(encoding="utf-8"))
        result = train(spec, out, MetricsLog(out / METRICS))
    except (TrainingError, OSError, ValueError, KeyError) as error:
        print(_reason(error), file=sys.stderr)
        return 1
    text = json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    artifacts.write_file(out / RESULT, lambda part: _write(part, text))
    training_state.remove_states(out)  # only after the result: until then a killed training resumes from them
    return 0


def _reason(error: Exception) -> str:
    """Return the error in one line."""
    message = f"the specification lacks {error}" if isinstance(error, KeyError) else str(error)
    return (message.strip().splitlines() or [type(error).__name__])[0]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _exit_on_signal(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
