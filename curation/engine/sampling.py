"""What judging a query would bring, as one number and the line that says why.

Published active learning did not beat random for neural rankers (method.md §3), so this orders only the smaller half
of the claims, by signals a person can check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

OLD_DAYS = 30.0  # an open query of this age is worth as much as it ever will be by age alone


@dataclass(frozen=True)
class Signals:
    """What is known of an open query. disagreement: 0–1, of retriever and LM. hole_rank: from 1, of the best passage
    of a newer ranking that nobody judged; 0 for none. judged, slots: people who have submitted, and who are to."""

    disagreement: float = 0.0
    hole_rank: int = 0
    judged: int = 0
    slots: int = 1
    age_days: float = 0.0


def divergence(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float:
    """Jensen–Shannon divergence of two distributions over the same passages, in bits: 0 alike, 1 apart.

    Lin 1991 (doi:10.1109/18.61115), eq. 3.4. Raises ValueError where one does not sum to 1.
    """
    p, q = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    for one in (p, q):
        if not np.isclose(one.sum(), 1.0):
            raise ValueError("a distribution sums to 1")
    middle = (p + q) / 2
    return (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2


def first_hole(ranked: Sequence[int], judged: set[int], depth: int = 10) -> int:
    """Rank from 1 of the first of the top `depth` passages that nobody judged; 0 when there is none."""
    return next((rank for rank, passage in enumerate(ranked[:depth], start=1) if passage not in judged), 0)


def worth(signals: Signals) -> tuple[float, str]:
    """The value, 0 or more, and the name of the signal that gives most of it; no name where nothing speaks for it.

    A hole counts 1 / its rank, a started query the share of its people who are through, age up to a quarter.
    """
    parts = {
        "disagreement": signals.disagreement,
        "hole": 1.0 / signals.hole_rank if signals.hole_rank else 0.0,
        "started": signals.judged / max(signals.slots, 1),
        "age": 0.25 * min(signals.age_days / OLD_DAYS, 1.0) if signals.age_days >= 1 else 0.0,
    }
    strongest = max(parts, key=lambda name: parts[name])
    return sum(parts.values()), strongest if parts[strongest] else ""


def _relative_entropy(p: Floats, q: Floats) -> float:
    is_there = p > 0
    return float((p[is_there] * np.log2(p[is_there] / q[is_there])).sum())
