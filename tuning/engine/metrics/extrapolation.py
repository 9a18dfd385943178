"""What a learning curve says of the next judgements: nested samples, the fit, and how sure it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning.engine.data.examples import JudgedQuery
from tuning.engine.metrics.significance import bootstrap_interval

Floats = NDArray[np.float64]

FIRST = 50
LEAST = 5
LEAST_POINTS = 4
RESAMPLES = 2000


@dataclass(frozen=True)
class Growth:
    """value = start + slope · ln(queries), fitted to the trained points by least squares.

    gain, low, high: what the next `more` queries would bring, with the 95 % interval of the slope.
    """

    start: float
    slope: float
    more: int
    gain: float
    low: float
    high: float

    def at(self, queries: float) -> float:
        """The fitted value at so many queries."""
        return self.start + self.slope * float(np.log(queries))


def sizes(total: int) -> list[int]:
    """50, 100, 200, 400 … and all; where there are fewer than 100, halves of all down to LEAST."""
    if total >= 2 * FIRST:
        found = [FIRST << step for step in range(64) if FIRST << step < total]
    else:
        found = sorted(size for size in {total >> step for step in range(1, 4)} if size >= LEAST)
    return [*found, total] if total else []


def nested(rows: Iterable[JudgedQuery], size: int, seed: int) -> list[JudgedQuery]:
    """`size` of the rows by chance, paraphrases one after the other; those of a smaller size are among them."""
    return sorted(rows, key=lambda row: (_share(seed, row.cluster or row.query_id), _share(seed, row.query_id)))[:size]


def gains_per_hundred(queries: Sequence[int], per_query: Floats, seed: int = 0) -> list[tuple[float, float, float]]:
    """For each point but the first: gain per hundred further queries since the one before, low, high.

    per_query: (points, test queries) values. Paired bootstrap over the test queries.
    """
    found = []
    for place in range(1, len(queries)):
        per_hundred = 100 / (queries[place] - queries[place - 1])
        differences = (per_query[place] - per_query[place - 1]) * per_hundred
        low, high = bootstrap_interval(differences, resamples=RESAMPLES, seed=seed)
        found.append((float(differences.mean()), low, high))
    return found


def fit(queries: Sequence[int], per_query: Floats, more: int = 100, seed: int = 0) -> Growth | None:
    """The fit through the trained points, whose first has `queries` > 0; None with fewer than LEAST_POINTS.

    queries: (k,), ascending; per_query: (k, test queries). Two things are uncertain, and their variances are
    added: which test queries were drawn (bootstrap of the slope over them), and how far the trainings scatter
    around the line (its residuals, k − 2 degrees of freedom, Student's t). A line of ln(n) never flattens, so
    the gain is more likely over- than understated where the curve already does.
    """
    from scipy.stats import t

    if len(queries) < LEAST_POINTS:
        return None
    x = np.log(np.asarray(queries, dtype=np.float64))
    centred = x - x.mean()  # (k,)
    slopes = centred @ per_query / (centred**2).sum()  # (test queries,): the slope of the mean is their mean
    means = per_query.mean(axis=1)  # (k,)
    slope, start = float(slopes.mean()), float(means.mean() - slopes.mean() * x.mean())
    free = len(queries) - 2
    residual = float(((means - start - slope * x) ** 2).sum() / free / (centred**2).sum())
    sampling = float(slopes.var(ddof=1) / len(slopes)) if len(slopes) > 1 else 0.0
    width = float(t.ppf(0.975, free)) * (residual + sampling) ** 0.5
    step = float(np.log((queries[-1] + more) / queries[-1]))
    return Growth(start, slope, more, slope * step, (slope - width) * step, (slope + width) * step)


def _share(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"growth {seed} {name}".encode()).digest()
