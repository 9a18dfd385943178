"""How good rankings are, query by query: nDCG, recall, reciprocal rank and the share that was judged.

The arithmetic is trec_eval's (`pytrec_eval`). It breaks ties of score by passage id, so it is fed
ranks and never scores: the order given is the order measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Gain = Literal["exponential", "linear"]
Grades = Mapping[str, Mapping[str, float]]  # query_id → passage_id → grade
Rankings = Mapping[str, Sequence[str]]  # query_id → passage ids, best first

RELEVANT_FROM = 1.0
_FINE = 1000  # nDCG is a ratio of gains: fractional grades are kept to a thousandth by scaling all gains


@dataclass(frozen=True)
class Measured:
    """What rankings are worth.

    means:            measure → mean over the queries of `per_query`; empty when there are none.
    per_query:        query_id → measure → value in [0, 1].
    without_relevant: judged queries with no relevant passage: no measure is defined for them, so
                      they are named here, not in the means.
    unranked:         queries with a relevant passage and an empty or missing ranking: 0 in the means.
    """

    means: dict[str, float]
    per_query: dict[str, dict[str, float]]
    without_relevant: list[str]
    unranked: list[str]

    def of(self, measure: str) -> dict[str, float]:
        """query_id → value of one measure."""
        return {query_id: values[measure] for query_id, values in self.per_query.items()}


def measure(
    rankings: Rankings,
    grades: Grades,
    *,
    ndcg_at: Sequence[int] = (10,),
    recall_at: Sequence[int] = (5, 10, 20),
    mrr_at: Sequence[int] = (10,),
    judged_at: Sequence[int] = (10,),
    gain: Gain = "exponential",
    relevant_from: float = RELEVANT_FROM,
) -> Measured:
    """`ndcg@k`, `recall@k`, `mrr@k` and `judged@k` of every judged query, and their means.

    gain: `exponential` is 2**grade - 1 after Burges et al. 2005 (doi:10.1145/1102351.1102363),
    `linear` the grade itself after Järvelin & Kekäläinen 2002. Discount 1 / log2(rank + 1). An
    unjudged passage has no gain and counts as not relevant; `judged@k` says how often that happened.
    A passage is relevant from `relevant_from` on. Rankings of queries nobody judged are ignored.
    """
    relevant = {
        query_id: known
        for query_id, known in grades.items()
        if any(grade >= relevant_from and grade > 0 for grade in known.values())
    }
    wanted = {f"ndcg_cut.{k}": f"ndcg@{k}" for k in ndcg_at} | {f"recall.{k}": f"recall@{k}" for k in recall_at}
    per_query = _evaluate(rankings, relevant, wanted, gain, relevant_from)
    for k in mrr_at:
        cut = {query_id: ranked[:k] for query_id, ranked in rankings.items()}
        for query_id, values in _evaluate(cut, relevant, {"recip_rank": f"mrr@{k}"}, gain, relevant_from).items():
            per_query[query_id] |= values
    for query_id, values in per_query.items():
        ranked = rankings.get(query_id, ())
        values |= {f"judged@{k}": judged_share(ranked, relevant[query_id], k) for k in judged_at}
    names = next(iter(per_query.values()), {})
    return Measured(
        means={name: sum(values[name] for values in per_query.values()) / len(per_query) for name in names},
        per_query=per_query,
        without_relevant=[query_id for query_id in grades if query_id not in relevant],
        unranked=[query_id for query_id in relevant if not rankings.get(query_id)],
    )


def judged_share(ranked: Sequence[str], known: Mapping[str, float], k: int) -> float:
    """Share of the first k passages that have a grade, whatever it is; of those there are when fewer, 0 if none."""
    top = ranked[:k]
    return sum(passage_id in known for passage_id in top) / len(top) if top else 0.0


def _evaluate(
    rankings: Rankings, grades: Grades, wanted: Mapping[str, str], gain: Gain, relevant_from: float
) -> dict[str, dict[str, float]]:
    """query_id → our name of a measure → value, for every query of `grades`; 0 where nothing was ranked."""
    import pytrec_eval

    names = {measure.replace(".", "_"): name for measure, name in wanted.items()}
    per_query = {query_id: dict.fromkeys(names.values(), 0.0) for query_id in grades}
    if not wanted or not grades:
        return per_query
    qrels = {
        query_id: {passage_id: _units(grade, gain) for passage_id, grade in known.items()}
        for query_id, known in grades.items()
    }
    run = {
        query_id: {passage_id: float(-rank) for rank, passage_id in enumerate(rankings[query_id], start=1)}
        for query_id in grades
        if rankings.get(query_id)
    }
    level = max(1, _units(relevant_from, gain))
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, set(wanted), relevance_level=level)
    for query_id, values in evaluator.evaluate(run).items():
        per_query[query_id] = {name: float(values[measure]) for measure, name in names.items()}
    return per_query


def _units(grade: float, gain: Gain) -> int:
    """The gain of a grade in thousandths: pytrec_eval takes whole numbers only."""
    if grade < 0:
        raise ValueError(f"A grade is never negative: {grade}")
    return round(_FINE * (2.0**grade - 1.0 if gain == "exponential" else grade))
