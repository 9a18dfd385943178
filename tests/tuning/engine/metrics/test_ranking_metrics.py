"""tuning/engine/metrics/ranking_metrics.py, against sums by hand and against ranx."""

import math
import random

import pytest

from tuning.engine.metrics import ranking_metrics


def test_ndcg_with_both_gains_by_hand() -> None:
    grades = {"q": {"a": 3, "b": 1, "c": 0}}
    ranked = {"q": ["b", "x", "a"]}
    # 2^g − 1: dcg = 1/log2(2) + 7/log2(4) = 1 + 3.5 = 4.5; ideal = 7/log2(2) + 1/log2(3) = 7 + 0.63093
    assert ranking_metrics.evaluate(ranked, grades).means["ndcg@10"] == pytest.approx(4.5 / (7 + 1 / math.log2(3)))
    # linear: dcg = 1 + 3/2 = 2.5; ideal = 3 + 1/log2(3)
    linear = ranking_metrics.evaluate(ranked, grades, gain="linear")
    assert linear.means["ndcg@10"] == pytest.approx(2.5 / (3 + 1 / math.log2(3)))


def test_recall_and_reciprocal_rank_are_cut_at_k() -> None:
    grades = {"q": {"a": 2, "b": 1, "c": 0}}
    ranked = {"q": ["c", "x", "y", "b", "a"]}
    measured = ranking_metrics.evaluate(ranked, grades, recall_at=(4, 5), mrr_at=(3, 4))
    assert measured.means["recall@4"] == pytest.approx(1 / 2)  # b of {a, b}
    assert measured.means["recall@5"] == pytest.approx(2 / 2)
    assert measured.means["mrr@3"] == 0  # first relevant at 4
    assert measured.means["mrr@4"] == pytest.approx(1 / 4)


def test_the_lowest_relevant_grade_can_be_set() -> None:
    measured = ranking_metrics.evaluate({"q": ["b", "a"]}, {"q": {"a": 2, "b": 1}}, relevant_from=2)
    assert measured.means["mrr@10"] == pytest.approx(1 / 2)  # b is only related
    assert ranking_metrics.evaluate({"q": ["b"]}, {"q": {"b": 1}}, relevant_from=2).without_relevant == ["q"]


def test_fractional_grades_keep_their_gain() -> None:
    # a 2.5 → 2^2.5 − 1 = 4.65685; b 1 → 1. dcg = 1 + 4.65685/1.58496 = 3.93817; ideal = 4.65685 + 0.63093
    measured = ranking_metrics.evaluate({"q": ["b", "a"]}, {"q": {"a": 2.5, "b": 1}})
    assert measured.means["ndcg@10"] == pytest.approx(3.93817 / 5.28778, abs=1e-4)


def test_judged_counts_grade_zero_and_short_rankings() -> None:
    grades = {"q": {"a": 3, "b": 0}}
    assert ranking_metrics.evaluate({"q": ["a", "b", "x", "y"]}, grades).means["judged@10"] == pytest.approx(2 / 4)
    assert ranking_metrics.evaluate({"q": ["a", "b", "x", "y"]}, grades, judged_at=(2,)).means["judged@2"] == 1


def test_queries_without_relevant_passages_are_named_and_unranked_ones_score_zero() -> None:
    grades = {"good": {"a": 3}, "none": {"a": 0}, "empty": {"b": 2}, "unjudged": {}}
    measured = ranking_metrics.evaluate({"good": ["a"], "none": ["a"], "empty": []}, grades)
    assert measured.without_relevant == ["none", "unjudged"]
    assert measured.unranked == ["empty"]
    assert measured.means["ndcg@10"] == pytest.approx(1 / 2)  # 1 for good, 0 for empty
    assert measured.values("mrr@10") == {"good": 1.0, "empty": 0.0}


def test_nothing_to_measure_has_no_means() -> None:
    measured = ranking_metrics.evaluate({}, {"q": {"a": 0}})
    assert measured.means == {} and measured.without_relevant == ["q"]


def test_the_order_given_is_the_order_measured() -> None:
    """trec_eval would put equal scores in order of passage id, z first."""
    grades = {"q": {"a": 1}}
    assert ranking_metrics.evaluate({"q": ["a", "z"]}, grades).means["mrr@10"] == 1
    assert ranking_metrics.evaluate({"q": ["z", "a"]}, grades).means["mrr@10"] == pytest.approx(1 / 2)


def test_a_negative_grade_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        ranking_metrics.evaluate({"q": ["a"]}, {"q": {"a": -1, "b": 1}})


@pytest.mark.slow
def test_it_agrees_with_ranx_on_random_rankings() -> None:
    import ranx

    rng = random.Random(7)
    passages = [f"p{i}" for i in range(40)]
    grades = {f"q{i}": {p: rng.randint(0, 3) for p in rng.sample(passages, 15)} for i in range(50)}
    grades = {query_id: {**known, "p0": 3} for query_id, known in grades.items()}
    rankings = {query_id: rng.sample(passages, 30) for query_id in grades}
    ours = ranking_metrics.evaluate(rankings, grades, ndcg_at=(10,), recall_at=(5, 20), mrr_at=(10,))
    run = ranx.Run({q: {p: float(100 - rank) for rank, p in enumerate(ids)} for q, ids in rankings.items()})
    theirs = ranx.evaluate(ranx.Qrels(grades), run, ["ndcg_burges@10", "recall@5", "recall@20", "mrr@10"])
    assert ours.means["ndcg@10"] == pytest.approx(theirs["ndcg_burges@10"])
    assert ours.means["recall@5"] == pytest.approx(theirs["recall@5"])
    assert ours.means["recall@20"] == pytest.approx(theirs["recall@20"])
    assert ours.means["mrr@10"] == pytest.approx(theirs["mrr@10"])
    linear = ranking_metrics.evaluate(rankings, grades, gain="linear")
    assert linear.means["ndcg@10"] == pytest.approx(ranx.evaluate(ranx.Qrels(grades), run, "ndcg@10"))
