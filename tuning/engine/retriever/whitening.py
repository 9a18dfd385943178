"""A matrix behind the query encoder that evens out what all passages of a corpus have in common.

In a corpus about one thing the vectors lie along a few directions, which say little about which passage answers. The
covariance Σ of the passages' vectors shows them, without a single judgement, and Σ^−p takes them back on the query's
side, so that the passages stay as they are. How far, p, is chosen on the training queries. FeedbackQA's valid
questions, nothing trained: nDCG@10 0.565 → 0.594 at the best of the powers, which was seen on the same questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuning.engine.retriever.candidates import Example, Rows, Vectors


@dataclass(frozen=True)
class Whitening:
    """matrix (dim, dim): Σ^−power, scaled."""

    power: float
    matrix: Vectors


POWERS = (0.0, 0.1, 0.2, 0.3, 0.4)
RIDGE = 1e-4  # of the variance of a direction; vectors have length 1, so all directions together have less than 1


def none(dim: int) -> Whitening:
    """The one that changes nothing."""
    return Whitening(0.0, np.eye(dim, dtype=np.float32))


def of(vectors: Vectors, powers: Sequence[float] = POWERS) -> list[Whitening]:
    """One for each power, scaled to keep the mean length of what it stands behind; with 0 it changes nothing.

    vectors: (n, dim), n ≥ 1, of length 1. With half of Σ^−½ on each side it would be the whitening of Su et al. 2021
    (arXiv 2103.15316, §3). Here all of it stands on one side, in part, and nothing is centred: on one side a mean adds
    the same to every passage's score. RIDGE keeps directions without variance from growing without end.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(vectors))
    found = []
    for power in powers:
        stretched = (np.maximum(variances, 0.0) + RIDGE) ** -power  # (dim,)
        matrix = (directions * (stretched / np.sqrt(np.mean(stretched**2)))) @ directions.T
        found.append(Whitening(power, matrix.astype(np.float32)))
    return found


def choose(queries: Vectors, examples: Sequence[Example], vectors: Vectors, rows: Rows) -> Whitening:
    """The one under which the training queries best find what is right for them; if none helps, what changes nothing.

    queries: (n, dim), row i belongs to examples[i], whose passages count within vectors (N, dim). rows: of the passages
    that are looked at. Measured is 1 / log2(1 + rank), the mean over the passages right for a query and over the
    queries that have one; of equals the smaller power.
    """
    told = [at for at, example in enumerate(examples) if example.is_right.any()]
    pool = np.ascontiguousarray(vectors[rows])  # (m, dim)
    if not told:
        return none(vectors.shape[1])
    rights = [examples[at].right for at in told]
    return max(of(pool), key=lambda one: quality(queries[told] @ one.matrix.T, rights, vectors, pool))


def quality(queries: Vectors, rights: Sequence[Rows], vectors: Vectors, pool: Vectors) -> float:
    """Mean over the queries (n, dim), n ≥ 1, of the mean of 1 / log2(1 + rank) over the passages right for each.

    rights: rows within vectors (N, dim), at least one a query. pool (m, dim): what they are ranked among; of equal
    scores the right one comes first.
    """
    values = []
    for query, rows in zip(queries, rights, strict=True):
        scores, right = pool @ query, vectors[rows] @ query  # (m,), (right,)
        ranks = 1 + (scores[None, :] > right[:, None]).sum(axis=1)
        values.append(np.mean(1 / np.log2(1 + ranks)))
    return float(np.mean(values))
