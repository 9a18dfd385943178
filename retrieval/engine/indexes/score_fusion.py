"""Score fusion for hybrid search: the weighted mean of a dense and a BM25 score, each standardised.

Standard scores (z-scores) beat min–max scaling, division by the maximum, and reciprocal rank fusion on FeedbackQA
(1,098 validation queries, nDCG@10 with gain 2**g - 1, MiniLM, both top 100): 0.6445, 0.6431, 0.644 and 0.622, against
0.565 of dense and 0.557 of BM25 alone. The weight matters more than the form: 0.638 at 0.5, 0.6445 at 0.65, 0.632 at
0.8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

DEFAULT_WEIGHT = 0.65  # of the dense score; learned with `learn_weight` on FeedbackQA's validation split
_GRID = np.round(np.arange(0, 1.0001, 0.05), 2)
_PRIOR_QUERIES = 50  # the default counts as much as this many graded queries


@dataclass(frozen=True)
class GradedQuery:
    """A graded query: its candidates with both scores, and all its grades.

    ids, dense, lexical: (m,), row i is one candidate. grades: passage id → grade 0–3, also of other passages.
    """

    ids: IntArray
    dense: FloatArray
    lexical: FloatArray
    grades: Mapping[int, float]


def fuse(dense: FloatArray, lexical: FloatArray, weight: float) -> FloatArray:
    """Return (m,) weight × z(dense) + (1 − weight) × z(lexical), with z-scores over this query's m candidates.

    Every candidate has both scores, whichever list it came from. The result is rounded to six places, so that equal
    candidates stay tied.
    """
    fused = weight * _z_scores(dense) + (1 - weight) * _z_scores(lexical)
    return np.round(fused, 6).astype(np.float32)


def learn_weight(queries: Sequence[GradedQuery], default: float = DEFAULT_WEIGHT, k: int = 10) -> float:
    """Return the dense weight with the best mean nDCG@k on the graded queries, shrunk towards the default.

    Grid search in steps of 0.05; weights within 0.001 of the best nDCG are averaged, because the curve is flat at its
    top. With n queries that have a relevant candidate the result is (n·best + 50·default)/(n + 50).
    """
    useful = [query for query in queries if any(query.grades.get(int(i), 0) > 0 for i in query.ids)]
    if not useful:
        return default
    curve = np.mean([_ndcg_curve(query, k) for query in useful], axis=0)  # (weights,)
    best = float(_GRID[curve >= curve.max() - 0.001].mean())
    n = len(useful)
    return round((n * best + _PRIOR_QUERIES * default) / (n + _PRIOR_QUERIES), 3)


def _ndcg_curve(query: GradedQuery, k: int) -> NDArray[np.float64]:
    """Return (weights,) nDCG@k at each weight of the grid, with gain 2**grade - 1.

    Unjudged passages count as grade 0: the curve compares weights on the same candidates and measures no system.
    """
    by_id = np.argsort(query.ids)
    dense, lexical = _z_scores(query.dense[by_id]), _z_scores(query.lexical[by_id])
    fused = np.round(_GRID[:, None] * dense + (1 - _GRID[:, None]) * lexical, 6)  # (weights, m)
    order = np.argsort(-fused, axis=1, kind="stable")[:, :k]
    gains = np.array([2.0 ** query.grades.get(int(i), 0) - 1 for i in query.ids[by_id]])
    ideal = np.sort([2.0**grade - 1 for grade in query.grades.values()])[::-1][:k]
    curve: NDArray[np.float64] = gains[order] @ _discounts(order.shape[1]) / (ideal @ _discounts(len(ideal)))
    return curve


def _discounts(n: int) -> NDArray[np.float64]:
    discounts: NDArray[np.float64] = 1 / np.log2(np.arange(2, n + 2))
    return discounts


def _z_scores(scores: FloatArray) -> FloatArray:
    """Return the scores with mean 0 and standard deviation 1; all 0 when they do not differ."""
    if not len(scores):
        return scores
    deviation = scores.std()
    if deviation < 1e-6:
        return np.zeros_like(scores)
    standardised: FloatArray = (scores - scores.mean()) / deviation
    return standardised
