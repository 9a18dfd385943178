"""What a run's record says of where and how it was made, ready to be read."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from retrieval.wording import read
from tuning.models import Run

Group = tuple[str, list[tuple[str, Any]]]  # title, (name, value)

_HARDWARE = ("processor", "cores", "memory_bytes", "accelerator", "platform")
_ELSEWHERE = ("choice", "curves", "merged", "seconds", "seed")  # shown in places of their own


def read_out(run: Run) -> dict[str, Any]:
    """The run's record with its sentences to be read, not as they are stored."""
    return {name: read(value) for name, value in run.record.items()}


def groups(run: Run) -> list[Group]:
    """Code, versions, hardware, what was learned from, and the settings that counted; what is empty is left out."""
    record = read_out(run)
    for name in _ELSEWHERE:
        record.pop(name, None)
    hardware = [(name, _value(name, record.pop(name))) for name in _HARDWARE if record.get(name)]
    versions = [("python", record.pop("python", "")), *sorted(record.pop("versions", {}).items())]
    code = list(record.pop("code", {}).items())
    settings = sorted(record.pop("settings", {}).items())
    found = [
        (_("Code"), code),
        (_("Versions"), versions),
        (_("Hardware"), hardware),
        (_("What it learned from"), sorted(record.items())),
        (_("What decided the weights"), settings),
    ]
    kept = [(title, [(name, value) for name, value in rows if value not in ("", None)]) for title, rows in found]
    return [(title, rows) for title, rows in kept if rows]


def _value(name: str, value: Any) -> Any:
    return f"{value / 2**30:.1f} GiB" if name == "memory_bytes" else value
