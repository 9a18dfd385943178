"""What a run's record says of where and how it was made, ready to be read."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from common.messages import message_from_json
from tuning.models import Run

Group = tuple[str, list[tuple[str, Any]]]  # title, (name, value)

_HARDWARE = ("processor", "cores", "memory_bytes", "accelerator", "platform")
_NAMES = {
    "answering": gettext_lazy("Answer mode"),
    "cut_short": gettext_lazy("Cut short by the budget"),
    "dev": gettext_lazy("Dev measure"),
    "dev_passages": gettext_lazy("Passages dev ranks"),
    "dev_queries": gettext_lazy("Dev queries"),
    "dpo_steps": gettext_lazy("Steps of DPO"),
    "instances": gettext_lazy("Instances"),
    "judged_passages": gettext_lazy("Judged passages"),
    "left_out": gettext_lazy("Left out"),
    "looked_at": gettext_lazy("Passages the quick roads looked at"),
    "mined_passages": gettext_lazy("Mined passages"),
    "pairs": gettext_lazy("Pairs of draft and edit"),
    "reads": gettext_lazy("How passages are read"),
    "steps": gettext_lazy("Training steps"),
    "steps_planned": gettext_lazy("Training steps planned"),
    "taught_by": gettext_lazy("Taught by"),
    "training_queries": gettext_lazy("Training queries"),
    "whitening": gettext_lazy("Power of the whitening"),
}  # of what the engines write; a number that none names keeps its own
_ELSEWHERE = ("choice", "curves", "merged", "seconds", "seed")  # shown in places of their own


def read_out(run: Run) -> dict[str, Any]:
    """The run's record with its sentences to be read, not as they are stored."""
    return {name: message_from_json(value) for name, value in run.record.items()}


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
        (_("What it learned from"), [row for name, value in sorted(record.items()) for row in _rows([name], value)]),
        (_("What decided the weights"), settings),
    ]
    kept = [(title, [(name, value) for name, value in rows if value not in ("", None)]) for title, rows in found]
    return [(title, rows) for title, rows in kept if rows]


def _rows(path: list[str], value: Any) -> list[tuple[str, Any]]:
    """One row for each number, however deep it lies; its name tells the way there."""
    if isinstance(value, dict):
        return [row for name, part in value.items() for row in _rows([*path, str(name)], part)]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, bool):
        value = _("yes") if value else _("no")
    return [(" · ".join(str(_NAMES.get(name, name.replace("_", " "))) for name in path), value)]


def _value(name: str, value: Any) -> Any:
    return f"{value / 2**30:.1f} GiB" if name == "memory_bytes" else value
