"""Ranking metrics query by query: nDCG, recall, MRR (mean reciprocal rank) and the judged share of the first ranks.

The arithmetic is trec_eval's (`pytrec_eval`). It breaks ties of score by passage id, so it is fed ranks and never
scores: the order given is the order measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from curation.engine.statistics.relevance import RELEVANT_FROM

Gain = Literal["exponential", "linear"]
Grades = Mapping[str, Mapping[str, float]]  # query_id → passage_id → grade
Rankings = Mapping[str, Sequence[str]]  # query_id → passage ids, best first
_Qrels = dict[str, dict[str, int]]  # query_id → passage_id → whole number, as pytrec_eval takes it

_GAIN_UNITS = 1000  # nDCG is a ratio of gains: fractional grades are kept to a thousandth by scaling all gains


@dataclass(frozen=True)
class RankingMetrics:
    """The metrics of some rankings.

    means:            metric → mean over the queries of `per_query`; empty when there are none.
    per_query:        query_id → metric → value in [0, 1].
    without_relevant: judged queries with no relevant passage: no metric is defined for them, so
                      they are named here, not in the means.
    unranked:         queries with a relevant passage and an empty or missing ranking: 0 in the means.
    """

    means: dict[str, float]
    per_query: dict[str, dict[str, float]]
    without_relevant: list[str]
    unranked: list[str]

    def values(self, metric: str) -> dict[str, float]:
        """Return query_id → value of one metric."""
        return {query_id: values[metric] for query_id, values in self.per_query.items()}


def evaluate(
    rankings: Rankings,
    grades: Grades,
    *,
    ndcg_at: Sequence[int] = (10,),
    recall_at: Sequence[int] = (5, 10, 20),
    mrr_at: Sequence[int] = (10,),
    judged_at: Sequence[int] = (10,),
    gain: Gain = "exponential",
    relevant_from: float = RELEVANT_FROM,
) -> RankingMetrics:
    """Return `ndcg@k`, `recall@k`, `mrr@k` and `judged@k` of every judged query, and their means.

    gain: `exponential` is 2**grade - 1 after Burges et al. 2005 (doi:10.1145/1102351.1102363),
    `linear` the grade itself after Järvelin & Kekäläinen 2002. Discount 1 / log2(rank + 1). The gain is that of
    the consensus, which is not rounded. relevant_from: the smallest grade of a relevant passage, for recall, MRR
    and `without_relevant`. An unjudged passage has no gain and counts as not relevant; `judged@k` says how often
    that happened. Rankings of queries nobody judged are ignored. Raises ValueError for a negative grade.
    """
    relevant = {
        query_id: known
        for query_id, known in grades.items()
        if any(grade >= relevant_from and grade > 0 for grade in known.values())
    }
    gains = {query_id: _gains(known, gain) for query_id, known in relevant.items()}
    binary = {query_id: _binary(known, relevant_from) for query_id, known in relevant.items()}
    per_query = _trec_eval(rankings, gains, {f"ndcg_cut.{k}": f"ndcg@{k}" for k in ndcg_at})
    _add(per_query, _trec_eval(rankings, binary, {f"recall.{k}": f"recall@{k}" for k in recall_at}))
    for k in mrr_at:
        cut = {query_id: ranked[:k] for query_id, ranked in rankings.items()}
        _add(per_query, _trec_eval(cut, binary, {"recip_rank": f"mrr@{k}"}))
    for query_id, values in per_query.items():
        ranked = rankings.get(query_id, ())
        values |= {f"judged@{k}": judged_share(ranked, relevant[query_id], k) for k in judged_at}
    return RankingMetrics(
        means=_means(per_query),
        per_query=per_query,
        without_relevant=[query_id for query_id in grades if query_id not in relevant],
        unranked=[query_id for query_id in relevant if not rankings.get(query_id)],
    )


def judged_share(ranked: Sequence[str], known: Mapping[str, float], k: int) -> float:
    """Return the share of the first k passages that have a grade, whatever it is.

    Where fewer than k are ranked, the share of those; 0 for an empty ranking.
    """
    top = ranked[:k]
    return sum(passage_id in known for passage_id in top) / len(top) if top else 0.0


def _trec_eval(rankings: Rankings, qrels: _Qrels, metrics: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return query_id → metric → value for every query of `qrels`; 0 where nothing was ranked.

    metrics: trec_eval's name with its cut → the name here.
    """
    import pytrec_eval

    names = {metric.replace(".", "_"): name for metric, name in metrics.items()}
    per_query = {query_id: dict.fromkeys(names.values(), 0.0) for query_id in qrels}
    if not metrics or not qrels:
        return per_query
    run = {
        query_id: {passage_id: float(-rank) for rank, passage_id in enumerate(rankings[query_id], start=1)}
        for query_id in qrels
        if rankings.get(query_id)
    }
    for query_id, values in pytrec_eval.RelevanceEvaluator(qrels, set(metrics)).evaluate(run).items():
        per_query[query_id] = {name: float(values[metric]) for metric, name in names.items()}
    return per_query


def _add(per_query: dict[str, dict[str, float]], further: Mapping[str, Mapping[str, float]]) -> None:
    for query_id, values in further.items():
        per_query[query_id] |= values


def _means(per_query: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    metrics = next(iter(per_query.values()), {})
    return {metric: sum(values[metric] for values in per_query.values()) / len(per_query) for metric in metrics}


def _binary(known: Mapping[str, float], relevant_from: float) -> dict[str, int]:
    return {passage_id: int(grade >= relevant_from and grade > 0) for passage_id, grade in known.items()}


def _gains(known: Mapping[str, float], gain: Gain) -> dict[str, int]:
    """Return passage_id → gain in thousandths: pytrec_eval takes whole numbers only."""
    for grade in known.values():
        if grade < 0:
            raise ValueError(f"A grade is never negative: {grade}")
    return {
        passage_id: round(_GAIN_UNITS * (2.0**grade - 1.0 if gain == "exponential" else grade))
        for passage_id, grade in known.items()
    }
