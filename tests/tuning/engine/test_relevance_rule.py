"""A consensus between two grades has one meaning in training, evaluation and slices (case T4)."""

from __future__ import annotations

import numpy as np
import pytest

from curation.engine.statistics import relevance
from tuning.engine.data.examples import TEST, TRAIN, JudgedQuery
from tuning.engine.data.instances import Recipe, build_instances, min_positive_grade
from tuning.engine.metrics import ranking_metrics, slices
from tuning.engine.retriever import candidates, targets
from tuning.engine.retriever.retriever_spec import RetrieverSettings

GRADES = [0.0, 0.2, 0.49, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
RECIPE = Recipe("{passages}|{question}", "No.", 1, distractor_share=1.0)


def judged(grade: float, **changes: object) -> JudgedQuery:
    values: dict[str, object] = {"query_id": "q", "text": "why?", "grades": {"p": grade}, "answer": "because"}
    return JudgedQuery(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("grade", GRADES)
def test_the_retriever_training_follows_the_rule(grade: float) -> None:
    (example,) = candidates.build_examples([judged(grade)], {"p": 0}, {}, 0.15).examples
    assert bool(len(example.positive_rows)) is relevance.is_relevant(grade)
    assert bool(len(example.negative_rows)) is relevance.is_judged_not_relevant(grade)
    assert (targets.human_target(np.array([grade]), 1.0) is not None) is relevance.is_relevant(grade)
    assert RetrieverSettings().is_lm_supervised([grade]) is not relevance.is_relevant(grade)


@pytest.mark.parametrize("grade", GRADES)
def test_the_generator_training_follows_the_rule(grade: float) -> None:
    query = judged(grade)
    instances = build_instances([query], {"p": "text"}, {"q": ["p"]}, RECIPE, count_tokens=len, seed=0, known={"q"})
    kinds = {instance.kind for instance in instances}
    assert ("answer" in kinds) is relevance.is_relevant(grade)  # alone, a related passage is positive
    assert ("distractors" in kinds) is relevance.is_judged_not_relevant(grade)
    assert min_positive_grade([query]) == (2 if relevance.nearest_grade(grade) >= 2 else 1)


@pytest.mark.parametrize("grade", GRADES)
def test_evaluation_and_slices_follow_the_rule(grade: float) -> None:
    measured = ranking_metrics.evaluate({"q": ["p"]}, {"q": {"p": grade}})
    assert (measured.without_relevant == []) is relevance.is_relevant(grade)
    if relevance.is_relevant(grade):
        assert measured.means["mrr@10"] == measured.means["recall@10"] == 1.0
    assert bool(slices.relevant_passages(judged(grade))) is relevance.is_relevant(grade)


def test_a_passage_almost_relevant_does_not_count_in_recall_beside_a_relevant_one() -> None:
    """0.4999 has the gain of 0.5 to a thousandth; relevance is decided before gains are rounded for trec_eval."""
    measured = ranking_metrics.evaluate({"q": ["almost", "other"]}, {"q": {"almost": 0.4999, "other": 3.0}})
    assert measured.means["recall@10"] == 1.0  # of the one relevant passage
    assert measured.means["mrr@10"] == 1 / 2


def test_the_rule_does_not_round_the_gain() -> None:
    """By hand: dcg = (2^0.5 − 1) + 7 / log2(3) = 0.41421 + 4.41651; ideal = 7 + 0.41421 / log2(3) = 7.26134."""
    measured = ranking_metrics.evaluate({"q": ["half", "best"]}, {"q": {"half": 0.5, "best": 3.0}})
    assert measured.means["ndcg@10"] == pytest.approx((0.41421 + 4.41651) / 7.26134, abs=1e-4)


def test_a_relevant_passage_of_half_a_grade_makes_a_query_seen() -> None:
    rows = [
        judged(0.5, query_id="1", split=TRAIN, cluster="a"),
        judged(3.0, query_id="2", split=TEST, cluster="b"),
        judged(0.0, query_id="3", split=TEST, cluster="c"),
    ]
    assert slices.slice_test_split(rows)["seen"] == {"2"}
