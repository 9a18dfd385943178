"""Training process: start it, read its metrics while it runs, stop it.

It has its own process group and ends when the worker that started it ends (tuning.engine.process.exit_with_parent).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from common.messages import StrOrMessage, message

SPEC, METRICS, CHECKPOINT, RESULT = "spec.json", "metrics.jsonl", "checkpoint", "result.json"
ERRORS = "stderr.txt"
POLL_SECONDS = 0.3
STOP_SECONDS = 15  # for a clean end after SIGTERM


class TrainingProcess:
    """One training process, from its start to its end. It is stopped at the end of the `with` block."""

    def __init__(self, module: str, out: Path, threads: int) -> None:
        self.out = out
        self._offset = 0
        command = [
            sys.executable,
            "-m",
            "tuning.engine.process.exit_with_parent",
            str(os.getpid()),
            module,
            str(out / SPEC),
            str(out),
        ]
        # Lines of a killed process: the new one begins the file again, so an offset into the old one is wrong.
        (out / METRICS).unlink(missing_ok=True)
        limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)} if threads else {}
        with (out / ERRORS).open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=os.environ | limits | {"TOKENIZERS_PARALLELISM": "false"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                process_group=0,
            )

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def metrics(self) -> Iterator[list[dict[str, Any]]]:
        """Return the new lines of metrics.jsonl, every POLL_SECONDS until the process has ended."""
        has_ended = False
        while not has_ended:
            has_ended = self._process.poll() is not None
            yield self._read_new_lines()
            if not has_ended:
                time.sleep(POLL_SECONDS)

    def has_succeeded(self) -> bool:
        """Whether the process has ended with status 0 and a result."""
        return self._process.returncode == 0 and (self.out / RESULT).exists()

    def stop(self) -> None:
        """Ask the process to end (SIGTERM), and kill it if it does not end within STOP_SECONDS."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            _signal_group(self._process.pid, number)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue

    def failure_reason(self) -> StrOrMessage:
        """Return why the process failed: its last line on standard error, otherwise its signal or exit status."""
        try:
            lines = (self.out / ERRORS).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        last_line = next((line.strip() for line in reversed(lines) if line.strip()), "")
        code = self._process.returncode
        if last_line or code is None:
            return last_line
        return message("process_signalled", number=-code) if code < 0 else message("process_ended", number=code)

    def _read_new_lines(self) -> list[dict[str, Any]]:
        try:
            with (self.out / METRICS).open("rb") as file:
                file.seek(self._offset)
                raw = file.read()
        except FileNotFoundError:
            return []
        complete = raw[: raw.rfind(b"\n") + 1]  # the last line may be incomplete
        self._offset += len(complete)
        return [json.loads(line) for line in complete.splitlines() if line.strip()]


def kill_orphan(pid: int, folders: Sequence[Path]) -> None:
    """Kill the process with this id, which a lost worker left, if its command line names one of the folders."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended; or a system without /proc, where exit_with_parent alone ends it
        return
    if any(os.fsencode(folder) in command for folder in folders):
        _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
