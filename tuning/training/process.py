"""A training is a process of its own: start it, read what it says of itself, stop it.

It runs in a process group of its own and on a leash: it dies with the worker that started it.
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
LOOK_SECONDS = 0.3
GRACE_SECONDS = 15


class Follower:
    """One training process, from its start to its end. Leaving the block ends it."""

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
        limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)} if threads else {}
        with (out / ERRORS).open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=os.environ | limits | {"TOKENIZERS_PARALLELISM": "false"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                process_group=0,
            )

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def lines(self) -> Iterator[list[dict[str, Any]]]:
        """What the process has written since the last look, again and again until it has ended."""
        ended = False
        while not ended:
            ended = self.process.poll() is not None
            yield self._read()
            if not ended:
                time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """Ask the process to end cleanly, then end it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            _signal_group(self.process.pid, number)
            try:
                self.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                continue

    def reason(self) -> StrOrMessage:
        """Why it failed: its last line on standard error."""
        try:
            lines = (self.out / ERRORS).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        code = self.process.returncode
        if said or code is None:
            return said
        return message("process_signalled", number=-code) if code < 0 else message("process_ended", number=code)

    def _read(self) -> list[dict[str, Any]]:
        try:
            with (self.out / METRICS).open("rb") as file:
                file.seek(self._offset)
                raw = file.read()
        except FileNotFoundError:
            return []
        whole = raw[: raw.rfind(b"\n") + 1]  # the last line may still be on its way
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.strip()]


def end_stray(pid: int, outs: Sequence[Path]) -> None:
    """Kill the process of that id if it is one that writes to one of these folders, left over by a lost worker."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # ended long ago, or another system: there the leash alone has to do
        return
    if any(os.fsencode(out) in command for out in outs):
        _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
