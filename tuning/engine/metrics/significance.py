"""Significance of the difference of two systems on the same queries: bootstrap interval, randomisation test, power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CELLS = 4_000_000  # random numbers at once: bounds memory at 32 MB for any number of queries


@dataclass(frozen=True)
class Comparison:
    """Challenger minus champion on one metric, over the same queries.

    low, high: percentile bootstrap interval of the mean difference.
    p:         two-sided paired randomisation test, never 0.
    smallest_visible: the minimum detectable difference: so many queries of such spread would show a true
               difference of this size as significant in four of five repetitions; a smaller one may stay hidden.
    """

    queries: int
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    p: float
    wins: int
    ties: int
    losses: int
    smallest_visible: float

    def power_summary(self) -> str:
        """Return the power of the split in one sentence."""
        return f"{self.queries} queries: smallest detectable difference {self.smallest_visible:.2g}"


def compare(
    champion: Mapping[str, float],
    challenger: Mapping[str, float],
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two systems by query_id → value. Raises ValueError unless both measured the same queries."""
    if not champion or champion.keys() != challenger.keys():
        raise ValueError("Both systems must have been measured on the same queries, at least one.")
    ids = sorted(champion)
    before = np.array([champion[query_id] for query_id in ids], dtype=np.float64)
    after = np.array([challenger[query_id] for query_id in ids], dtype=np.float64)
    differences = after - before
    low, high = bootstrap_interval(differences, resamples=resamples, level=level, seed=seed)
    deviation = float(differences.std(ddof=1)) if len(ids) > 1 else 0.0
    return Comparison(
        queries=len(ids),
        champion=float(before.mean()),
        challenger=float(after.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=randomisation_p(differences, permutations=resamples, seed=seed),
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
        smallest_visible=min_detectable_difference(len(ids), deviation),
    )


def bootstrap_interval(
    differences: Floats, *, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean under resampling of queries with replacement (Efron 1979).

    differences: (n,) one number a query, n ≥ 1. The same seed gives the same interval.
    """
    rng = np.random.default_rng(seed)
    n = len(differences)
    means = [
        differences[rng.integers(0, n, size=(rows, n))].mean(axis=1)  # (rows, n) → (rows,)
        for rows in _chunks(resamples, n)
    ]
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return float(low), float(high)


def randomisation_p(differences: Floats, *, permutations: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of the paired randomisation test: (1 + #{|permuted mean| ≥ |mean|}) / (permutations + 1), in (0, 1].

    differences: (n,). Each permutation swaps champion and challenger on a random half of the queries, which flips
    signs (Smucker et al. 2007, doi:10.1145/1321440.1321528). The 1 counts the observed order itself.
    """
    rng = np.random.default_rng(seed)
    n = len(differences)
    observed = abs(differences.sum())
    slack = 1e-12 * max(1.0, float(np.abs(differences).sum()))  # the same sum in another order is still the same
    reached = 0
    for rows in _chunks(permutations, n):
        signs = rng.integers(0, 2, size=(rows, n), dtype=np.int8) * 2 - 1  # (rows, n) of ±1
        reached += int((np.abs(signs @ differences) >= observed - slack).sum())
    return (1 + reached) / (permutations + 1)


def min_detectable_difference(queries: int, deviation: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """Return the mean difference detected with this power: (z_{(1+level)/2} + z_power) · deviation / √queries."""
    return float(_distance(level, power) * deviation / np.sqrt(queries))


def queries_needed(difference: float, deviation: float, *, level: float = 0.95, power: float = 0.8) -> int:
    """Return how many queries detect this mean difference: the inverse of the function above, rounded up."""
    return int(np.ceil((_distance(level, power) * deviation / difference) ** 2))


def _distance(level: float, power: float) -> float:
    """Return z_{(1+level)/2} + z_power, by the standard library: scipy.stats would cost each process two seconds."""
    normal = NormalDist()
    return normal.inv_cdf((1.0 + level) / 2.0) + normal.inv_cdf(power)


def _chunks(total: int, width: int) -> list[int]:
    rows = max(1, _CELLS // max(1, width))
    return [min(rows, total - start) for start in range(0, total, rows)]
