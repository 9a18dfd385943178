import numpy as np
import pytest

from retrieval.engine.indexes import score_fusion
from retrieval.engine.indexes.score_fusion import GradedQuery


def array(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_the_weight_is_the_dense_share_of_standard_scores() -> None:
    # dense: mean 2, deviation 1 → −1, 1; lexical: mean 5, deviation 5 → 1, −1
    assert score_fusion.fuse(array(1, 3), array(10, 0), 0.75).tolist() == [-0.5, 0.5]  # 0.75·(−1) + 0.25·1
    assert score_fusion.fuse(array(1, 3), array(10, 0), 0.5).tolist() == [0, 0]


def test_scores_that_do_not_differ_count_as_0() -> None:
    assert score_fusion.fuse(array(1, 3), array(0, 0), 0.5).tolist() == [-0.5, 0.5]
    assert score_fusion.fuse(array(7), array(0), 0.5).tolist() == [0]
    assert score_fusion.fuse(array(), array(), 0.5).tolist() == []


def graded(dense_is_right: bool) -> GradedQuery:
    right, wrong = array(1, 0, 0.5), array(0, 1, 0.5)
    return GradedQuery(
        np.array([5, 6, 7]), right if dense_is_right else wrong, wrong if dense_is_right else right, {5: 3, 6: 0}
    )


def test_many_grades_move_the_weight_to_the_better_score() -> None:
    assert score_fusion.learn_weight([graded(True)] * 500) > 0.7
    assert score_fusion.learn_weight([graded(False)] * 500) < 0.3


def test_few_grades_stay_near_the_default() -> None:
    # one query: every share above 0.5 is as good, 0.775 in the mean; (1·0.775 + 50·0.65) / 51
    assert score_fusion.learn_weight([graded(True)]) == pytest.approx((0.775 + 50 * 0.65) / 51, abs=1e-3)


def test_queries_without_a_relevant_candidate_change_nothing() -> None:
    assert score_fusion.learn_weight([]) == score_fusion.DEFAULT_WEIGHT
    unanswerable = GradedQuery(np.array([5]), array(1), array(0), {5: 0, 99: 3})
    assert score_fusion.learn_weight([unanswerable], default=0.4) == 0.4
