"""Candidate passages of a training query: judged passages, passages scored by the language model, hard negatives.

Three states are kept apart to the end. A judged passage acts by its grade. An unjudged one may serve as a negative only
when the base does not score it close to the query's own positive: such a passage is more likely a relevant one that
nobody has judged, a false negative, than a hard negative.
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
class TrainingExample:
    """One training query with its passages as rows of the corpus matrix.

    row: of the query. judged_rows (m,), grades (m,) and is_positive (m,) belong together; so do scored_rows (k,) and
    lm_target (k,), both empty without a target of the language model. weight: w_q, 1 on average.
    """

    row: int
    judged_rows: Rows
    grades: Floats
    is_positive: Bools
    scored_rows: Rows
    lm_target: Floats
    weight: float

    @property
    def positive_rows(self) -> Rows:
        return self.judged_rows[self.is_positive]

    @property
    def negative_rows(self) -> Rows:
        """Rows judged not relevant: the only human negatives."""
        return self.judged_rows[self.grades < RELEVANT_FROM]


@dataclass
class TrainingExamples:
    """The examples, and how many queries and passages were left out."""

    examples: list[TrainingExample] = field(default_factory=list)
    without_grades: int = 0
    unknown_passages: int = 0


def build_examples(
    queries: Sequence[JudgedQuery],
    passage_rows: Mapping[str, int],
    lm_scores: Mapping[str, LmScores],
    lm_temperature: float,
) -> TrainingExamples:
    """Return one example for every query with a grade or a target; `row` counts within `queries`.

    Passages that are no longer in the corpus are dropped and counted. A query left with neither a grade nor a target of
    the language model is counted in `without_grades`.
    """
    result = TrainingExamples()
    usable: list[tuple[int, dict[int, float], tuple[Rows, Floats]]] = []
    for row, query in enumerate(queries):
        grades = {passage_rows[name]: grade for name, grade in sorted(query.grades.items()) if name in passage_rows}
        result.unknown_passages += len(query.grades) - len(grades)
        lm_target = _lm_target(lm_scores.get(query.query_id), passage_rows, lm_temperature)
        if grades or len(lm_target[0]):
            usable.append((row, grades, lm_target))
        else:
            result.without_grades += 1
    if usable:
        weights = targets.query_weights(np.array([queries[row].reliability for row, _, _ in usable]))
        for (row, grades, lm_target), weight in zip(usable, weights, strict=True):
            result.examples.append(_example(row, grades, lm_target, float(weight)))
    return result


def _example(row: int, grades: Mapping[int, float], lm_target: tuple[Rows, Floats], weight: float) -> TrainingExample:
    values = np.array(list(grades.values()), dtype=np.float64)
    return TrainingExample(
        row=row,
        judged_rows=np.array(list(grades), dtype=np.int64),
        grades=values,
        is_positive=targets.positives(values),
        scored_rows=lm_target[0],
        lm_target=lm_target[1],
        weight=weight,
    )


def fill_pool(rows: set[int], rankings: Sequence[Rows], max_size: int) -> Rows:
    """Return ascending rows: all of `rows`, and from the rankings, best first, as many as fit into `max_size`.

    The first of every ranking comes before the second of any.
    """
    pool = set(rows)
    for rank in range(max(map(len, rankings), default=0)):
        for ranking in rankings:
            if rank < len(ranking) and len(pool) < max_size:
                pool.add(int(ranking[rank]))
    return np.array(sorted(pool), dtype=np.int64)


def likely_false_negatives(scores: Floats, positive_rows: Rows, ratio: float) -> Bools:
    """Return which passages (N,) the base scores above `ratio` of the query's best positive; all false without one.

    scores: (N,) base cosines of one query with the corpus. NV-Retriever (arXiv 2407.15831, §3.3) calls it
    TopK-PercPos. With a best positive of score 0 or below no ratio makes sense: every passage that scores higher
    counts.
    """
    if not len(positive_rows):
        return np.zeros(len(scores), dtype=np.bool_)
    best = float(scores[positive_rows].max())
    is_likely: Bools = scores > (ratio * best if best > 0 else best)
    return is_likely


def mine_hard_negatives(scores: Floats, example: TrainingExample, false_negatives: Bools, count: int) -> Rows:
    """Return up to `count` hard negatives: the unjudged passages that the base ranks highest, best first.

    scores: (N,) as for `likely_false_negatives`, whose result bars passages.
    """
    barred = false_negatives.copy()
    barred[example.judged_rows] = True
    order = np.argsort(-scores, kind="stable")[: count + int(barred.sum())]
    rows: Rows = order[~barred[order]][:count]
    return rows


def read_lm_scores(path: Path) -> dict[str, LmScores]:
    """Return query_id → LmScores of a JSONL file. Raises BadRow."""
    lm_scores = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                scores = {str(name): float(score) for name, score in row["scores"].items()}
                without = row.get("without_passage")
                lm_scores[str(row["query_id"])] = LmScores(scores, None if without is None else float(without))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise BadRow(path, number, f"{type(error).__name__}: {error}") from error
    return lm_scores


def _lm_target(lm: LmScores | None, passage_rows: Mapping[str, int], temperature: float) -> tuple[Rows, Floats]:
    """Return the scored rows and the target over them; both empty where the language model gives none."""
    nothing = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
    if lm is None:
        return nothing
    scores = {passage_rows[name]: score for name, score in sorted(lm.scores.items()) if name in passage_rows}
    target = targets.lm_target(np.array(list(scores.values())), temperature, lm.without_passage)
    return nothing if target is None else (np.array(list(scores), dtype=np.int64), target)
