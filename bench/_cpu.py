"""What the requests cost in CPU time, whatever else runs on the machine: read from /proc, so on Linux only."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

PROC = Path("/proc")
SAMPLE_SECONDS = 1.0


class Meter(threading.Thread):
    """CPU seconds of this process's children, and of the backends of a PostgreSQL database on this host.

    Sampled, because a connection that grew old ends with its backend and takes its count along.
    """

    def __init__(self, database: str) -> None:
        super().__init__(daemon=True)
        self.database = urlsplit(database).path.lstrip("/")
        self._first: dict[int, float] = {}
        self._last: dict[str, dict[int, float]] = {"web": {}, "database": {}}
        self._over = threading.Event()

    def run(self) -> None:
        if not PROC.is_dir():
            return
        self._sample(is_first=True)
        while not self._over.wait(SAMPLE_SECONDS):
            self._sample()

    def stop(self) -> dict[str, float]:
        """Seconds of each since the start."""
        self._over.set()
        self.join()
        return {
            group: sum(seconds - self._first.get(pid, 0.0) for pid, seconds in found.items())
            for group, found in self._last.items()
        }

    def _sample(self, *, is_first: bool = False) -> None:
        stats = _stats()
        groups = {"web": _children(stats, os.getpid()), "database": _backends(stats, self.database)}
        for group, pids in groups.items():
            found = {pid: _seconds(stats[pid]) for pid in pids}
            self._last[group] |= found
            if is_first:
                self._first |= found


def _stats() -> dict[int, list[str]]:
    """Process → the fields of its stat file that come after its name."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                found[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
    return found


def _children(stats: dict[int, list[str]], parent: int) -> Collection[int]:
    found = {parent}
    while more := {pid for pid, fields in stats.items() if int(fields[1]) in found} - found:
        found |= more
    return found - {parent}


def _backends(stats: dict[int, list[str]], database: str) -> list[int]:
    """A backend's title reads `postgres: USER DATABASE ADDRESS WHAT`."""
    found = []
    for pid in stats:
        try:
            title = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        words = title.split()
        if len(words) > 2 and words[0] == "postgres:" and database in words[1:4]:
            found.append(pid)
    return found


def _seconds(fields: list[str]) -> float:
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
