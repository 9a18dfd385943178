"""Whether people prefer one of two: the sign test, with the interval that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sign:
    """How often one side won, of the times that either did.

    share:     wins / (wins + losses), in [0, 1].
    low, high: exact 95 % interval of it (Clopper & Pearson 1934).
    p:         two-sided exact binomial test of 1/2.
    """

    wins: int
    losses: int
    share: float
    low: float
    high: float
    p: float


def sign_test(wins: int, losses: int, level: float = 0.95) -> Sign | None:
    """The sign test (Dixon & Mood 1946), ties left out; None when nobody won."""
    from scipy.stats import binomtest

    if wins + losses == 0:
        return None
    found = binomtest(wins, wins + losses, 0.5)
    interval = found.proportion_ci(level, method="exact")
    share = wins / (wins + losses)
    return Sign(wins, losses, share, float(interval.low), float(interval.high), float(found.pvalue))
