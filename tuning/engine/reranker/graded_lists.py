"""Graded lists that a reranker is trained on, and the dev set that decides its weight beside the ranking.

The three relevance states stay apart. A judged passage has its grade. An unjudged one of the ranking may stand in a
list as its lowest group, below every grade, and only where its base score is far below that of the relevant passages;
it is never a 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from curation.engine.statistics import relevance
from retrieval.engine.encoders.cross_encoder import DEFAULT_SHARE, reorder
from retrieval.engine.indexes.score_fusion import FloatArray, GradedQuery, learn_weight
from tuning.engine.data.examples import DEV, TRAIN, BadRow, JudgedQuery, PassageText
from tuning.engine.metrics import ranking_metrics
from tuning.engine.reranker.reranker_spec import RerankerSettings
from tuning.engine.retriever import candidates
from tuning.engine.retriever.candidates import Floats, Rows, TrainingExample, Vectors, likely_false_negatives

# The label of an unjudged passage. It has no gain, like grade 0, but is not grade 0: in LambdaLoss a pair of the two
# has no weight.
UNJUDGED = -1.0
MEASURE = "ndcg@10"


@dataclass(frozen=True)
class ScoredRanking:
    """The ranking of the release for a query, without its reranker: rows of passages, best first, and their scores."""

    rows: Rows
    scores: FloatArray


@dataclass(frozen=True)
class GradedList:
    """A query with passages and one label each: the grade, or UNJUDGED. weight: w_q, 1 on average."""

    query: str
    passages: tuple[str, ...]
    labels: tuple[float, ...]
    weight: float


@dataclass
class GradedLists:
    """The graded lists, and how many queries and passages were left out."""

    lists: list[GradedList] = field(default_factory=list)
    without_order: int = 0
    without_grades: int = 0
    unknown_passages: int = 0


def read_rankings(path: Path, passage_rows: Mapping[str, int]) -> dict[str, ScoredRanking]:
    """Return query_id → its ranking from a candidates file; unknown passages are left out. Raises BadRow."""
    rankings = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                pairs = zip(row["passages"], row["scores"], strict=True)
                known = [(passage_rows[name], float(score)) for name, score in pairs if name in passage_rows]
            except (ValueError, TypeError, KeyError) as error:
                raise BadRow(path, number, f"{type(error).__name__}: {error}") from error
            rows = np.array([passage_row for passage_row, _score in known], np.int64)
            rankings[str(row["query_id"])] = ScoredRanking(rows, np.array([score for _row, score in known], np.float32))
    return rankings


def build_graded_lists(
    queries: Sequence[JudgedQuery],
    passages: Sequence[PassageText],
    rankings: Mapping[str, ScoredRanking],
    query_vectors: Vectors,
    passage_vectors: Vectors,
    settings: RerankerSettings,
) -> GradedLists:
    """Return a graded list for every training query with a relevant passage and at least two different labels.

    query_vectors (n, dim) belong to the queries; passage_vectors (m, dim) to the first m passages, those in the index.
    """
    query_rows = [row for row, query in enumerate(queries) if query.split == TRAIN]
    training = [queries[row] for row in query_rows]
    examples = candidates.build_examples(training, {one.passage_id: row for row, one in enumerate(passages)}, {}, 1.0)
    result = GradedLists(without_grades=examples.without_grades, unknown_passages=examples.unknown_passages)
    for example in examples.examples:
        query = training[example.row]
        scores = (passage_vectors @ query_vectors[query_rows[example.row]]).astype(np.float64)
        judged = _select_judged(example, settings.max_judged)
        mined = _select_unjudged(example, scores, rankings.get(query.query_id), settings)
        labels = [float(example.grades[index]) for index in judged] + [UNJUDGED] * len(mined)
        if not relevance.has_relevant(labels) or min(labels) == max(labels):
            result.without_order += 1
            continue
        rows = [*example.judged_rows[judged], *mined]
        texts = tuple(passages[row].text for row in rows)
        result.lists.append(GradedList(query.text, texts, tuple(labels), example.weight))
    return result


def _select_judged(example: TrainingExample, max_judged: int) -> list[int]:
    """Return indices of the judged passages for the list: all, or of many the best and the worst."""
    order = np.argsort(-example.grades, kind="stable").tolist()
    if len(order) <= max_judged:
        return list(order)
    best = -(-max_judged // 2)
    return [*order[:best], *order[len(order) - (max_judged - best) :]]


def _select_unjudged(
    example: TrainingExample, scores: Floats, ranking: ScoredRanking | None, settings: RerankerSettings
) -> list[int]:
    """Return rows of the unjudged passages ranked first whose base score is far below that of the positives.

    None where no positive passage is in the index.
    """
    positives = example.positive_rows[example.positive_rows < len(scores)]
    if ranking is None or not len(positives):
        return []
    is_near = likely_false_negatives(scores, positives, settings.false_negative_ratio)
    judged = set(example.judged_rows.tolist())
    rows = [row for row in ranking.rows.tolist() if row < len(scores) and row not in judged and not is_near[row]]
    return rows[: settings.max_mined]


@dataclass(frozen=True)
class RerankerDevSet:
    """The dev queries, each with its ranking; a reranker may reorder the first `depth` passages.

    grades: row of a passage → grade, a query each. texts: of the first `depth` passages, a query each.
    """

    queries: Sequence[JudgedQuery]
    rankings: Sequence[ScoredRanking]
    grades: Sequence[Mapping[int, float]]
    texts: Sequence[Sequence[str]]
    depth: int

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The (query, passage) pairs that a reranker has to score, query after query."""
        return [(query.text, text) for query, texts in zip(self.queries, self.texts, strict=True) for text in texts]

    def best_share(self, cross_scores: FloatArray) -> float:
        """Return the best weight of the reranker's scores of `pairs` beside the ranking's own, in [0, 1]."""
        graded = [
            GradedQuery(ranking.rows[: self.depth], scores, ranking.scores[: self.depth], grades)
            for ranking, scores, grades in zip(self.rankings, self._split(cross_scores), self.grades, strict=True)
        ]
        return learn_weight(graded, DEFAULT_SHARE)

    def evaluate(self, cross_scores: FloatArray | None, share: float = 0.0) -> float:
        """Return the mean nDCG@10 of the rankings reordered by these scores of `pairs`; of the rankings for None."""
        rankings = {}
        by_query = self._split(cross_scores) if cross_scores is not None else [None] * len(self)
        for query, ranking, scores in zip(self.queries, self.rankings, by_query, strict=True):
            head = ranking.rows[: self.depth]
            if scores is not None:
                head = head[reorder(ranking.scores[: self.depth], scores, share)[0]]
            rankings[query.query_id] = [str(row) for row in (*head, *ranking.rows[self.depth :])]
        grades = {
            query.query_id: {str(row): grade for row, grade in own.items()}
            for query, own in zip(self.queries, self.grades, strict=True)
        }
        return ranking_metrics.evaluate(rankings, grades, recall_at=(), mrr_at=(), judged_at=()).means[MEASURE]

    def _split(self, cross_scores: FloatArray) -> list[FloatArray]:
        return np.split(cross_scores, np.cumsum([len(texts) for texts in self.texts])[:-1])


def build_dev_set(
    queries: Sequence[JudgedQuery],
    passages: Sequence[PassageText],
    rankings: Mapping[str, ScoredRanking],
    settings: RerankerSettings,
    seed: int,
) -> RerankerDevSet:
    """Return at most `max_dev_queries` random dev queries that have a relevant passage and a ranking."""
    passage_rows = {one.passage_id: row for row, one in enumerate(passages)}
    usable = [
        query
        for query in queries
        if query.split == DEV
        and query.query_id in rankings
        and relevance.has_relevant(grade for name, grade in query.grades.items() if name in passage_rows)
    ]
    indices = np.sort(np.random.default_rng(seed).permutation(len(usable))[: settings.max_dev_queries])
    selected = [usable[index] for index in indices]
    own_rankings = [rankings[query.query_id] for query in selected]
    return RerankerDevSet(
        queries=selected,
        rankings=own_rankings,
        grades=[
            {passage_rows[name]: grade for name, grade in query.grades.items() if name in passage_rows}
            for query in selected
        ],
        texts=[[passages[row].text for row in ranking.rows[: settings.depth]] for ranking in own_rankings],
        depth=settings.depth,
    )
