"""Learning curve extrapolation: nested samples, the logarithmic fit, and the expected gain of further judgements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning.engine.data.examples import JudgedQuery
from tuning.engine.metrics.significance import bootstrap_interval

Floats = NDArray[np.float64]

FIRST_SIZE = 50
MIN_SIZE = 5
MIN_POINTS = 4
RESAMPLES = 2000


@dataclass(frozen=True)
class LearningCurveFit:
    """value = start + slope · ln(queries), fitted to the trained points by least squares.

    gain, low, high: the expected gain of the next `more` queries, with the 95 % interval of the slope.
    """

    start: float
    slope: float
    more: int
    gain: float
    low: float
    high: float

    def value_at(self, queries: float) -> float:
        """Return the fitted value for a number of queries above 0."""
        return self.start + self.slope * float(np.log(queries))


def sample_sizes(total: int) -> list[int]:
    """Return 50, 100, 200, 400 … and `total`; for fewer than 100, halves of `total` down to MIN_SIZE; [] for 0."""
    if total >= 2 * FIRST_SIZE:
        smaller = [FIRST_SIZE << step for step in range(64) if FIRST_SIZE << step < total]
    else:
        smaller = sorted(size for size in {total >> step for step in range(1, 4)} if size >= MIN_SIZE)
    return [*smaller, total] if total else []


def nested_sample(rows: Iterable[JudgedQuery], size: int, seed: int) -> list[JudgedQuery]:
    """Return `size` random rows, paraphrases next to each other. It contains every smaller sample of the same seed."""
    return sorted(rows, key=lambda row: (_hash(seed, row.cluster or row.query_id), _hash(seed, row.query_id)))[:size]


def gains_per_hundred(queries: Sequence[int], per_query: Floats, seed: int = 0) -> list[tuple[float, float, float]]:
    """Return for each point but the first the gain per hundred further queries since the point before, low, high.

    queries: (points,) ascending. per_query: (points, test queries) values. 95 % paired bootstrap interval over the
    test queries.
    """
    gains = []
    for point in range(1, len(queries)):
        per_hundred = 100 / (queries[point] - queries[point - 1])
        differences = (per_query[point] - per_query[point - 1]) * per_hundred
        low, high = bootstrap_interval(differences, resamples=RESAMPLES, seed=seed)
        gains.append((float(differences.mean()), low, high))
    return gains


def fit_learning_curve(queries: Sequence[int], per_query: Floats, more: int = 100) -> LearningCurveFit | None:
    """Return the fit through the trained points; None with fewer than MIN_POINTS.

    queries: (k,), ascending, above 0; per_query: (k, test queries). Two things are uncertain, and their variances
    are added: the sample of test queries (the variance of the mean of the slopes of single queries), and the scatter
    of the trainings around the line (its residuals, k − 2 degrees of freedom, Student's t). A line of ln(n) never
    flattens, so the gain is more likely over- than underestimated where the curve already flattens.
    """
    from scipy.stats import t

    if len(queries) < MIN_POINTS:
        return None
    x = np.log(np.asarray(queries, dtype=np.float64))
    centred = x - x.mean()  # (k,)
    slopes = centred @ per_query / (centred**2).sum()  # (test queries,): the slope of the mean is their mean
    means = per_query.mean(axis=1)  # (k,)
    slope, start = float(slopes.mean()), float(means.mean() - slopes.mean() * x.mean())
    degrees = len(queries) - 2
    residual = float(((means - start - slope * x) ** 2).sum() / degrees / (centred**2).sum())
    sampling = float(slopes.var(ddof=1) / len(slopes)) if len(slopes) > 1 else 0.0
    half_width = float(t.ppf(0.975, degrees)) * (residual + sampling) ** 0.5
    step = float(np.log((queries[-1] + more) / queries[-1]))
    return LearningCurveFit(start, slope, more, slope * step, (slope - half_width) * step, (slope + half_width) * step)


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"growth {seed} {name}".encode()).digest()
