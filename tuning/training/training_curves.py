"""The curves of a run, read from the lines its process writes as it goes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypedDict

from django.conf import settings
from django.utils.translation import gettext as _

from tuning import labels
from tuning.models import Run

MOST_POINTS = 400
MOST_BYTES = 8_000_000


class Curve(TypedDict):
    """One line of a chart. kind: loss or dev; points: [step, value], step ascending."""

    name: str
    kind: str
    points: list[list[float]]


def read(run: Run) -> list[Curve]:
    """Loss and dev measure of each candidate the run tried; thinned, ends kept. Nothing written yet: no curves."""
    if not run.path:
        return []
    path = Path(settings.DATA_DIR) / run.path / "metrics.jsonl"
    found: dict[tuple[str, str], list[list[float]]] = {}
    for row in _rows(path):
        step = row.get("step")
        if not isinstance(step, (int, float)):
            continue
        candidate = str(row.get("candidate") or "")
        for kind in ("loss", "dev"):
            value = _number(row.get(kind))
            if value is not None:
                found.setdefault((kind, candidate), []).append([float(step), value])
    return [
        Curve(name=_named(kind, candidate), kind=kind, points=_thinned(points))
        for (kind, candidate), points in sorted(found.items(), key=lambda item: item[0][0], reverse=True)
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    """Whole lines only: the last one may still be being written."""
    try:
        with path.open("rb") as lines:
            text = lines.read(MOST_BYTES).decode("utf-8", errors="replace")
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
    """The number itself, or the first one of a dictionary of measures."""
    if isinstance(value, dict):
        value = next(iter(value.values()), None)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _named(kind: str, candidate: str) -> str:
    words = _("loss") if kind == "loss" else _("dev measure")
    return f"{words} · {labels.spoken(candidate)}" if candidate else words


def _thinned(points: list[list[float]]) -> list[list[float]]:
    if len(points) <= MOST_POINTS:
        return points
    stride = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(place * stride)] for place in range(MOST_POINTS)]
