"""CPU time of the web server and the database, read from /proc (Linux only); other work does not count."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

PROC = Path("/proc")
SAMPLE_SECONDS = 1.0


class CpuMeter(threading.Thread):
    """CPU seconds of this process's children, and of the backends of a PostgreSQL database on this host.

    It samples, because the CPU time of a backend is lost when its connection ends.
    """

    def __init__(self, database_url: str) -> None:
        super().__init__(daemon=True)
        self.database = urlsplit(database_url).path.lstrip("/")
        self._first: dict[int, float] = {}
        self._last: dict[str, dict[int, float]] = {"web": {}, "database": {}}
        self._stop_event = threading.Event()

    def run(self) -> None:
        if not PROC.is_dir():
            return
        self._sample(is_first=True)
        while not self._stop_event.wait(SAMPLE_SECONDS):
            self._sample()

    def stop(self) -> dict[str, float]:
        """Stop, and return the CPU seconds of each group since the start."""
        self._stop_event.set()
        self.join()
        return {
            group: sum(seconds - self._first.get(pid, 0.0) for pid, seconds in last.items())
            for group, last in self._last.items()
        }

    def _sample(self, *, is_first: bool = False) -> None:
        stats = _read_stats()
        groups = {"web": _children(stats, os.getpid()), "database": _backends(stats, self.database)}
        for group, pids in groups.items():
            seconds = {pid: _cpu_seconds(stats[pid]) for pid in pids}
            self._last[group] |= seconds
            if is_first:
                self._first |= seconds


def _read_stats() -> dict[int, list[str]]:
    """Return the fields of each process's stat file that follow its name."""
    stats = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # the process has ended
                continue
    return stats


def _children(stats: dict[int, list[str]], parent: int) -> Collection[int]:
    """Return the descendants of the process."""
    family = {parent}
    while children := {pid for pid, fields in stats.items() if int(fields[1]) in family} - family:
        family |= children
    return family - {parent}


def _backends(stats: dict[int, list[str]], database: str) -> list[int]:
    """Return the backends of the database; the title of one is `postgres: USER DATABASE ADDRESS ACTIVITY`."""
    pids = []
    for pid in stats:
        try:
            title = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        words = title.split()
        if len(words) > 2 and words[0] == "postgres:" and database in words[1:4]:
            pids.append(pid)
    return pids


def _cpu_seconds(fields: list[str]) -> float:
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
