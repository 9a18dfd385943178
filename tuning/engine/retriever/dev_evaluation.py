"""Dev evaluation of a training's candidates: nDCG@10 of the dev queries over a small pool of the corpus.

Embedding a whole corpus for every candidate would cost more than the training. The pool holds every passage that was
judged for the dev queries and those ranked high for them today, so the figures are higher than on the corpus, and
comparable with one another only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curation.engine.statistics import relevance
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.metrics import ranking_metrics
from tuning.engine.retriever.candidates import Rows, Vectors, fill_pool

MEASURE = "ndcg@10"


@dataclass(frozen=True)
class DevSet:
    """rows: of the dev queries within all queries. pool: rows of the passages ranked. grades: by dev query id."""

    rows: Rows
    pool: Rows
    ids: Sequence[str]
    grades: Mapping[str, Mapping[str, float]]

    def __len__(self) -> int:
        return len(self.rows)

    def evaluate(self, query_vectors: Vectors, pool_vectors: Vectors) -> float:
        """Return the mean nDCG@10 of the dev queries (n, dim) over the pool (p, dim); ties keep the pool's order."""
        scores = query_vectors @ pool_vectors.T  # (n, p)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        rankings = {name: [str(self.pool[i]) for i in best] for name, best in zip(self.ids, order, strict=True)}
        metrics = ranking_metrics.evaluate(rankings, self.grades, recall_at=(), mrr_at=(), judged_at=())
        return metrics.means[MEASURE]


def build_dev_set(
    queries: Sequence[JudgedQuery],
    is_dev: Sequence[bool],
    passage_rows: Mapping[str, int],
    rankings: Mapping[int, Rows],
    max_queries: int,
    max_passages: int,
    seed: int,
) -> DevSet:
    """Return at most `max_queries` random dev queries that have a relevant passage; empty when there are none.

    rankings: row of a query → rows of passages, best first; they fill the pool up to `max_passages`, the
    first of every query before the second of any. Judged passages are in the pool whatever the limit.
    """
    grades_of = {
        row: {str(passage_rows[name]): grade for name, grade in query.grades.items() if name in passage_rows}
        for row, query in enumerate(queries)
        if is_dev[row]
    }
    usable = [row for row, grades in grades_of.items() if relevance.has_relevant(grades.values())]
    rows = np.sort(np.random.default_rng(seed).permutation(np.array(usable, dtype=np.int64))[:max_queries])
    judged = {int(name) for row in rows for name in grades_of[int(row)]}
    pool = fill_pool(judged, [rankings[int(row)] for row in rows if int(row) in rankings], max_passages)
    ids = [queries[row].query_id for row in rows]
    return DevSet(rows, pool, ids, {queries[row].query_id: grades_of[int(row)] for row in rows})
