"""Stratified sampling and disagreement sampling (uncertainty sampling): which query is judged next, with the reason.

Published active learning did not beat random choice for neural rankers (docs/method.md), so the priority orders only
the smaller half of the claims, by signals a person can check. The larger half follows the random order, which is even
over the strata.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
MAX_GRADE_GAP = 3
FULL_AGE_DAYS = 30.0  # the signal of age grows up to this age


@dataclass(frozen=True)
class Signals:
    """The stored figures of an open query.

    disagreement: 0–1, of retriever and language model. max_gap: 0–3, the widest gap between two people's grades of
    one passage. unjudged_rank: from 1, of the best unjudged passage of a newer ranking; 0 for none. submitted, slots:
    people who have submitted, and who are to. times_asked: queries of the same text, itself included.
    """

    disagreement: float = 0.0
    max_gap: int = 0
    unjudged_rank: int = 0
    submitted: int = 0
    slots: int = 1
    age_days: float = 0.0
    times_asked: int = 1


def stratified_key(stratum: str, number: int) -> float:
    """Return the sort key in [0, 1) of the `number`-th query of a stratum, from 0: stratified sampling by order.

    A Kronecker sequence of the golden ratio from a start that the stratum's name decides. Whatever part of the order
    has been judged, each stratum has given its share of it, to one query or two, however many it will have. That is
    proportional stratified sampling without knowing the sizes beforehand; over all names a key is uniform.
    """
    start = int.from_bytes(hashlib.sha256(stratum.encode()).digest()[:8], "big") / 2**64
    return (start + number * GOLDEN_RATIO) % 1.0


def jensen_shannon_divergence(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float:
    """Jensen–Shannon divergence of two distributions over the same passages, in bits: 0 equal, 1 disjoint.

    Lin 1991 (doi:10.1109/18.61115), eq. 3.4. Raises ValueError where one does not sum to 1.
    """
    p, q = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    for distribution in (p, q):
        if not np.isclose(distribution.sum(), 1.0):
            raise ValueError("a distribution sums to 1")
    mixture = (p + q) / 2
    return (_relative_entropy(p, mixture) + _relative_entropy(q, mixture)) / 2


def first_unjudged_rank(ranked: Sequence[int], judged: set[int], depth: int = 10) -> int:
    """Return the rank, from 1, of the first unjudged passage among the top `depth`; 0 when there is none."""
    return next((rank for rank, passage in enumerate(ranked[:depth], start=1) if passage not in judged), 0)


def priority_score(signals: Signals) -> tuple[float, str]:
    """Return the priority, 0 or more, and the name of its strongest signal; no name where all signals are 0.

    The sum of six signals. An unjudged passage counts 1 / its rank, a gap between people its share of the widest
    possible one, a started query the share of its people who have submitted; a query asked twice counts a quarter,
    asked more often up to a half; age up to a quarter. Ties of the strongest go to the first in this order:
    disagreement, people, hole, started, traffic, age.
    """
    parts = {
        "disagreement": signals.disagreement,
        "people": signals.max_gap / MAX_GRADE_GAP,
        "hole": 1.0 / signals.unjudged_rank if signals.unjudged_rank else 0.0,
        "started": signals.submitted / max(signals.slots, 1),
        "traffic": 0.5 * (1 - 1 / max(signals.times_asked, 1)),
        "age": 0.25 * min(signals.age_days / FULL_AGE_DAYS, 1.0) if signals.age_days >= 1 else 0.0,
    }
    strongest = max(parts, key=lambda name: parts[name])
    return sum(parts.values()), strongest if parts[strongest] else ""


def _relative_entropy(p: Floats, q: Floats) -> float:
    support = p > 0
    return float((p[support] * np.log2(p[support] / q[support])).sum())
