"""Run record: where and how a run was trained, as labels and values for its page."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from common.messages import message_from_json
from common.renamed_keys import with_current_keys
from tuning.models import Run

Group = tuple[str, list[tuple[str, Any]]]  # title, (label, value)

_HARDWARE = ("processor", "cores", "memory_bytes", "accelerator", "platform")
# Key of the record → label. A key without a label is shown as it is.
_LABELS = {
    "answer_mode": gettext_lazy("Answer mode"),
    "candidate_passages": gettext_lazy("Candidate passages"),
    "cut_short": gettext_lazy("Stopped by the time budget"),
    "dev": gettext_lazy("Dev metric"),
    "dev_passages": gettext_lazy("Passages ranked for dev"),
    "dev_queries": gettext_lazy("Dev queries"),
    "dpo_steps": gettext_lazy("Steps of DPO"),
    "instances": gettext_lazy("Instances"),
    "judged_passages": gettext_lazy("Judged passages"),
    "left_out": gettext_lazy("Left out"),
    "mined_passages": gettext_lazy("Mined passages"),
    "pairs": gettext_lazy("Pairs of draft and edit"),
    "passage_span": gettext_lazy("Part of a passage that was learned from"),
    "steps": gettext_lazy("Training steps"),
    "steps_planned": gettext_lazy("Training steps planned"),
    "supervision": gettext_lazy("Supervision"),
    "training_queries": gettext_lazy("Training queries"),
    "whitening": gettext_lazy("Power of the whitening"),
}
_SHOWN_ELSEWHERE = ("choice", "curves", "merged", "seconds", "seed")


def rendered_record(run: Run) -> dict[str, Any]:
    """Return the run's record under the keys of today, with its messages in the reader's language."""
    return {name: message_from_json(value) for name, value in with_current_keys("run record", run.record).items()}


def record_groups(run: Run) -> list[Group]:
    """Return code, versions, hardware, training data and settings of the run, without empty values and groups."""
    record = rendered_record(run)
    for name in _SHOWN_ELSEWHERE:
        record.pop(name, None)
    hardware = [(name, _value(name, record.pop(name))) for name in _HARDWARE if record.get(name)]
    versions = [("python", record.pop("python", "")), *sorted(record.pop("versions", {}).items())]
    code = list(record.pop("code", {}).items())
    settings = sorted(record.pop("settings", {}).items())
    groups = [
        (_("Code"), code),
        (_("Versions"), versions),
        (_("Hardware"), hardware),
        (_("Training data"), [row for name, value in sorted(record.items()) for row in _rows([name], value)]),
        (_("Settings"), settings),
    ]
    with_values = [
        (title, [(name, value) for name, value in rows if value not in ("", None)]) for title, rows in groups
    ]
    return [(title, rows) for title, rows in with_values if rows]


def _rows(path: list[str], value: Any) -> list[tuple[str, Any]]:
    """Return one row per value of a nested value; its label is the path to it."""
    if isinstance(value, dict):
        return [row for name, nested in value.items() for row in _rows([*path, str(name)], nested)]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, bool):
        value = _("yes") if value else _("no")
    return [(" · ".join(str(_LABELS.get(name, name.replace("_", " "))) for name in path), value)]


def _value(name: str, value: Any) -> Any:
    return f"{value / 2**30:.1f} GiB" if name == "memory_bytes" else value
