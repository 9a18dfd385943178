"""Graded lists: what a reranker learns from, and what it is chosen by.

Three states stay apart. A judged passage has its grade. An unjudged one of the ranking may stand in a list as its
lowest group, below every grade, and only where the encoder sees it far from what is relevant; it is never a 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from curation.engine.statistics import relevance
from retrieval.engine.encoders.cross_encoder import DEFAULT_SHARE, reorder
from retrieval.engine.indexes.score_fusion import FloatArray, Graded, learn_weight
from tuning.engine.data.examples import DEV, TRAIN, BadRow, JudgedQuery, PassageText
from tuning.engine.metrics import ranking_metrics
from tuning.engine.reranker.reranker_spec import RerankerSettings
from tuning.engine.retriever import candidates
from tuning.engine.retriever.candidates import Example, Floats, Rows, Vectors, near_positives

# Without gain, as a 0 is, but no 0: in LambdaLoss the two weigh nothing against each other.
UNJUDGED = -1.0
MEASURE = "ndcg@10"


@dataclass(frozen=True)
class Ranked:
    """What the release finds for a query before its last stage: rows of passages, best first, and their scores."""

    rows: Rows
    scores: FloatArray


@dataclass(frozen=True)
class GradedList:
    """One query with the passages it orders. labels: a grade each, or UNJUDGED; weight: w_q, 1 on average."""

    query: str
    passages: tuple[str, ...]
    labels: tuple[float, ...]
    weight: float


@dataclass
class Taught:
    """The lists, and what had to be left out: counted, never silent."""

    lists: list[GradedList] = field(default_factory=list)
    without_order: int = 0
    without_grades: int = 0
    unknown_passages: int = 0


def read_ranked(path: Path, passage_rows: Mapping[str, int]) -> dict[str, Ranked]:
    """query_id → its ranking, of a candidates file. Raises BadRow."""
    found = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                pairs = zip(row["passages"], row["scores"], strict=True)
                known = [(passage_rows[name], float(score)) for name, score in pairs if name in passage_rows]
            except (ValueError, TypeError, KeyError) as error:
                raise BadRow(path, number, f"{type(error).__name__}: {error}") from error
            rows, scores = [one for one, _score in known], [score for _one, score in known]
            found[str(row["query_id"])] = Ranked(np.array(rows, np.int64), np.array(scores, np.float32))
    return found


def teach(
    queries: Sequence[JudgedQuery],
    passages: Sequence[PassageText],
    ranked: Mapping[str, Ranked],
    query_vectors: Vectors,
    passage_vectors: Vectors,
    settings: RerankerSettings,
) -> Taught:
    """A list for every training query whose grades, with what may stand below them, give an order.

    query_vectors (n, dim) belong to the queries; passage_vectors (m, dim) to the first m passages, the ones that
    can be found.
    """
    rows = [row for row, query in enumerate(queries) if query.split == TRAIN]
    training = [queries[row] for row in rows]
    gathered = candidates.gather(training, {one.passage_id: row for row, one in enumerate(passages)}, {}, 1.0)
    taught = Taught(without_grades=gathered.without_grades, unknown_passages=gathered.unknown_passages)
    for example in gathered.examples:
        query = training[example.row]
        scores = (passage_vectors @ query_vectors[rows[example.row]]).astype(np.float64)
        judged = _judged(example, settings.most_judged)
        below = _below(example, scores, ranked.get(query.query_id), settings)
        labels = [float(example.grades[place]) for place in judged] + [UNJUDGED] * len(below)
        if not relevance.has_relevant(labels) or min(labels) == max(labels):
            taught.without_order += 1
            continue
        chosen = [*example.judged[judged], *below]
        texts = tuple(passages[row].text for row in chosen)
        taught.lists.append(GradedList(query.text, texts, tuple(labels), example.weight))
    return taught


def _judged(example: Example, most: int) -> list[int]:
    """Places of the judged passages that go into the list: all, or of many the best and the worst."""
    order = np.argsort(-example.grades, kind="stable").tolist()
    if len(order) <= most:
        return list(order)
    best = -(-most // 2)
    return [*order[:best], *order[len(order) - (most - best) :]]


def _below(example: Example, scores: Floats, ranked: Ranked | None, settings: RerankerSettings) -> list[int]:
    """The unjudged passages ranked first that are far from the relevant ones; none where no such one was found."""
    right = example.right[example.right < len(scores)]
    if ranked is None or not len(right):
        return []
    near = near_positives(scores, right, settings.near)
    judged = set(example.judged.tolist())
    free = [row for row in ranked.rows.tolist() if row < len(scores) and row not in judged and not near[row]]
    return free[: settings.mined]


@dataclass(frozen=True)
class Judge:
    """The dev queries, each with its ranking; the first `depth` passages are what a reranker may reorder."""

    queries: Sequence[JudgedQuery]
    ranked: Sequence[Ranked]
    grades: Sequence[Mapping[int, float]]
    texts: Sequence[Sequence[str]]  # of the first `depth` passages of each
    depth: int

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What a reranker has to score, query after query."""
        return [(query.text, text) for query, some in zip(self.queries, self.texts, strict=True) for text in some]

    def share(self, crossed: FloatArray) -> float:
        """How much the reranker's scores of `pairs` should count beside the ranking's own."""
        graded = [
            Graded(ranked.rows[: self.depth], scores, ranked.scores[: self.depth], known)
            for ranked, scores, known in zip(self.ranked, self._split(crossed), self.grades, strict=True)
        ]
        return learn_weight(graded, DEFAULT_SHARE)

    def value(self, crossed: FloatArray | None, share: float = 0.0) -> float:
        """Mean nDCG@10 of the rankings after these scores of `pairs`; as they came without any."""
        rankings = {}
        parts = self._split(crossed) if crossed is not None else [None] * len(self)
        for query, ranked, scores in zip(self.queries, self.ranked, parts, strict=True):
            head = ranked.rows[: self.depth]
            if scores is not None:
                head = head[reorder(ranked.scores[: self.depth], scores, share)[0]]
            rankings[query.query_id] = [str(row) for row in (*head, *ranked.rows[self.depth :])]
        known = {
            query.query_id: {str(row): grade for row, grade in grades.items()}
            for query, grades in zip(self.queries, self.grades, strict=True)
        }
        return ranking_metrics.evaluate(rankings, known, recall_at=(), mrr_at=(), judged_at=()).means[MEASURE]

    def _split(self, crossed: FloatArray) -> list[FloatArray]:
        return np.split(crossed, np.cumsum([len(some) for some in self.texts])[:-1])


def judge(
    queries: Sequence[JudgedQuery],
    passages: Sequence[PassageText],
    ranked: Mapping[str, Ranked],
    settings: RerankerSettings,
    seed: int,
) -> Judge:
    """At most `dev_queries` dev queries that have a relevant passage and a ranking, by chance."""
    rows = {one.passage_id: row for row, one in enumerate(passages)}
    fit = [
        query
        for query in queries
        if query.split == DEV
        and query.query_id in ranked
        and relevance.has_relevant(grade for name, grade in query.grades.items() if name in rows)
    ]
    chosen = np.sort(np.random.default_rng(seed).permutation(len(fit))[: settings.dev_queries])
    kept = [fit[place] for place in chosen]
    return Judge(
        queries=kept,
        ranked=[ranked[query.query_id] for query in kept],
        grades=[{rows[name]: grade for name, grade in query.grades.items() if name in rows} for query in kept],
        texts=[[passages[row].text for row in ranked[query.query_id].rows[: settings.depth]] for query in kept],
        depth=settings.depth,
    )
