"""Which query is judged next: its place in the random order, and what judging it would bring, with the reason.

Published active learning did not beat random for neural rankers (method.md §3), so value orders only the smaller half
of the claims, by signals a person can check. The larger half follows the random order, even over the strata.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GOLDEN = (math.sqrt(5) - 1) / 2
OLD_DAYS = 30.0  # an open query of this age is worth as much as it ever will be by age alone


@dataclass(frozen=True)
class Signals:
    """What is known of an open query. disagreement: 0–1, of retriever and LM. apart: 0–3, the widest gap between two
    people's grades of one passage. hole_rank: from 1, of the best passage of a newer ranking that nobody judged; 0 for
    none. judged, slots: people who have submitted, and who are to. asked: how often the same was asked, itself
    included."""

    disagreement: float = 0.0
    apart: int = 0
    hole_rank: int = 0
    judged: int = 0
    slots: int = 1
    age_days: float = 0.0
    asked: int = 1


def place(stratum: str, number: int) -> float:
    """Where the query that came to a stratum as its `number`-th, from 0, stands in the random order, in [0, 1).

    A Kronecker sequence of the golden ratio from a start that the stratum's name decides: whatever part of the order
    has been worked off, each stratum has given its share of it, to one query or two, however many it will have. That
    is proportional stratified sampling without knowing the sizes beforehand; over all names a place is uniform.
    """
    start = int.from_bytes(hashlib.sha256(stratum.encode()).digest()[:8], "big") / 2**64
    return (start + number * GOLDEN) % 1.0


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

    A hole counts 1 / its rank, a gap between people the share of the widest there is, a started query the share of
    its people who are through; asked twice counts a quarter, asked ever more often up to a half; age up to a quarter.
    """
    parts = {
        "disagreement": signals.disagreement,
        "people": signals.apart / 3,
        "hole": 1.0 / signals.hole_rank if signals.hole_rank else 0.0,
        "started": signals.judged / max(signals.slots, 1),
        "traffic": 0.5 * (1 - 1 / max(signals.asked, 1)),
        "age": 0.25 * min(signals.age_days / OLD_DAYS, 1.0) if signals.age_days >= 1 else 0.0,
    }
    strongest = max(parts, key=lambda name: parts[name])
    return sum(parts.values()), strongest if parts[strongest] else ""


def _relative_entropy(p: Floats, q: Floats) -> float:
    is_there = p > 0
    return float((p[is_there] * np.log2(p[is_there] / q[is_there])).sum())
