"""Which passages a query is trained on: what people judged, what the language model scored, what the base confuses.

Three states are kept apart to the end. A judged passage acts by its grade. An unjudged one may serve as a
negative only when the base does not score it near the query's own positive: such a passage is more likely a
good one nobody has read than a bad one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curation.engine.statistics.relevance import RELEVANT_FROM
from tuning.engine.data.examples import BadRow, JudgedQuery
from tuning.engine.retriever import targets

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class LmScores:
    """ℓ of one query: passage_id → mean log-probability of the answer per token, and ℓ_∅ without a passage."""

    scores: Mapping[str, float]
    without_passage: float | None = None


@dataclass(frozen=True)
class Example:
    """One training query, its passages as rows of the corpus matrix.

    judged (m,), grades (m,) and is_right (m,) belong together; so do scored (k,) and lm_target (k,), both
    empty when the language model has nothing to say. weight: w_q, 1 on average.
    """

    row: int
    judged: Rows
    grades: Floats
    is_right: Bools
    scored: Rows
    lm_target: Floats
    weight: float

    @property
    def right(self) -> Rows:
        return self.judged[self.is_right]

    @property
    def wrong(self) -> Rows:
        """Judged not relevant: the only human negatives there are."""
        return self.judged[self.grades < RELEVANT_FROM]


@dataclass
class Gathered:
    """The examples, and what had to be left out: counted, never silent."""

    examples: list[Example] = field(default_factory=list)
    without_grades: int = 0
    unknown_passages: int = 0


def gather(
    queries: Sequence[JudgedQuery],
    passage_rows: Mapping[str, int],
    lm: Mapping[str, LmScores],
    lm_temperature: float,
) -> Gathered:
    """One Example for every query that can teach; `row` counts within `queries`.

    Passages that are no longer in the corpus are dropped and counted. A query left with neither a
    grade nor a language model's target is counted in `without_grades`.
    """
    found = Gathered()
    kept: list[tuple[int, dict[int, float], tuple[Rows, Floats]]] = []
    for row, query in enumerate(queries):
        grades = {passage_rows[name]: grade for name, grade in sorted(query.grades.items()) if name in passage_rows}
        found.unknown_passages += len(query.grades) - len(grades)
        taught = _lm_part(lm.get(query.query_id), passage_rows, lm_temperature)
        if grades or len(taught[0]):
            kept.append((row, grades, taught))
        else:
            found.without_grades += 1
    if not kept:
        return found
    weights = targets.query_weights(np.array([queries[row].reliability for row, _, _ in kept]))
    for (row, grades, (scored, target)), weight in zip(kept, weights, strict=True):
        given = np.array(list(grades.values()), dtype=np.float64)
        found.examples.append(
            Example(
                row=row,
                judged=np.array(list(grades), dtype=np.int64),
                grades=given,
                is_right=targets.positives(given),
                scored=scored,
                lm_target=target,
                weight=float(weight),
            )
        )
    return found


def filled(chosen: set[int], rankings: Sequence[Rows], most: int) -> Rows:
    """Ascending rows: all the chosen, and of the rankings, best first, as many as there is room for up to `most`.

    The first of every ranking comes before the second of any.
    """
    pool = set(chosen)
    for rank in range(max(map(len, rankings), default=0)):
        for ranked in rankings:
            if rank < len(ranked) and len(pool) < most:
                pool.add(int(ranked[rank]))
    return np.array(sorted(pool), dtype=np.int64)


def near_positives(scores: Floats, right: Rows, share: float) -> Bools:
    """Which passages (N,) the base scores above `share` of the query's best positive; all false without one.

    scores: (N,) base cosines of one query with the corpus. NV-Retriever (arXiv 2407.15831, §3.3) calls it
    TopK-PercPos. With a best positive of no or negative score nothing can be told apart: everything
    that scores higher is near.
    """
    if not len(right):
        return np.zeros(len(scores), dtype=np.bool_)
    best = float(scores[right].max())
    near: Bools = scores > (share * best if best > 0 else best)
    return near


def mined(scores: Floats, example: Example, near: Bools, count: int) -> Rows:
    """Up to `count` passages the base ranks highest that are unjudged and not near a positive, best first."""
    barred = near.copy()
    barred[example.judged] = True
    order = np.argsort(-scores, kind="stable")[: count + int(barred.sum())]
    free: Rows = order[~barred[order]][:count]
    return free


def read_lm_scores(path: Path) -> dict[str, LmScores]:
    """query_id → LmScores of a JSONL file. Raises BadRow."""
    found = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                scores = {str(name): float(score) for name, score in row["scores"].items()}
                without = row.get("without_passage")
                found[str(row["query_id"])] = LmScores(scores, None if without is None else float(without))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise BadRow(path, number, f"{type(error).__name__}: {error}") from error
    return found


def _lm_part(lm: LmScores | None, passage_rows: Mapping[str, int], temperature: float) -> tuple[Rows, Floats]:
    nothing = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
    if lm is None:
        return nothing
    known = {passage_rows[name]: score for name, score in sorted(lm.scores.items()) if name in passage_rows}
    target = targets.lm_target(np.array(list(known.values())), temperature, lm.without_passage)
    return nothing if target is None else (np.array(list(known), dtype=np.int64), target)
