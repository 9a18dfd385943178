"""Training curves of a run: loss and dev metric by step, from the metrics that its process writes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypedDict

from django.conf import settings
from django.utils.translation import gettext as _

from tuning import labels
from tuning.models import Run

MAX_POINTS = 400
MAX_BYTES = 8_000_000


class TrainingCurve(TypedDict):
    """One line of a chart. kind: loss or dev; points: [step, value], step ascending."""

    name: str
    kind: str
    points: list[list[float]]


def read_curves(run: Run) -> list[TrainingCurve]:
    """Read loss and dev metric of each candidate that the run trained; none before the first metrics.

    At most MAX_POINTS points per curve; its first and last point are kept.
    """
    if not run.path:
        return []
    path = Path(settings.DATA_DIR) / run.path / "metrics.jsonl"
    points_of: dict[tuple[str, str], list[list[float]]] = {}
    for row in _read_rows(path):
        step = row.get("step")
        if not isinstance(step, (int, float)):
            continue
        candidate = str(row.get("candidate") or "")
        for kind in ("loss", "dev"):
            value = _number(row.get(kind))
            if value is not None:
                points_of.setdefault((kind, candidate), []).append([float(step), value])
    return [
        TrainingCurve(name=_name(kind, candidate), kind=kind, points=_thin(points))
        for (kind, candidate), points in sorted(points_of.items(), key=lambda item: item[0][0], reverse=True)
    ]


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the complete lines: the last one may still be incomplete."""
    try:
        with path.open("rb") as lines:
            text = lines.read(MAX_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return []
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _number(value: Any) -> float | None:
    """Return the number itself, or the first value of a dictionary of measures; None if it is not finite."""
    if isinstance(value, dict):
        value = next(iter(value.values()), None)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _name(kind: str, candidate: str) -> str:
    label = _("loss") if kind == "loss" else _("dev metric")
    return f"{label} · {labels.process_term(candidate)}" if candidate else label


def _thin(points: list[list[float]]) -> list[list[float]]:
    if len(points) <= MAX_POINTS:
        return points
    stride = (len(points) - 1) / (MAX_POINTS - 1)
    return [points[round(index * stride)] for index in range(MAX_POINTS)]
