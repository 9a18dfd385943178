"""The sign test: whether people prefer one of two, with the exact interval of the win share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SignTestResult:
    """How often one side won, of the comparisons that were no tie.

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


def sign_test(wins: int, losses: int, level: float = 0.95) -> SignTestResult | None:
    """Return the sign test (Dixon & Mood 1946) of wins against losses, ties left out; None without either."""
    from scipy.stats import binomtest

    if wins + losses == 0:
        return None
    test = binomtest(wins, wins + losses, 0.5)
    interval = test.proportion_ci(level, method="exact")
    share = wins / (wins + losses)
    return SignTestResult(wins, losses, share, float(interval.low), float(interval.high), float(test.pvalue))
