"""tuning/engine/retriever/targets.py, against sums by hand."""

import numpy as np
import pytest

from tuning.engine.retriever import targets


def test_the_human_target_by_hand() -> None:
    # grades 3, 1, 0 with T_g = 1: e³, e¹, e⁰ = 20.0855, 2.71828, 1; sum 23.8038
    target = targets.human_target(np.array([3.0, 1.0, 0.0]), 1.0)
    assert target is not None
    assert target == pytest.approx([20.0855 / 23.8038, 2.71828 / 23.8038, 1 / 23.8038], abs=1e-5)


def test_a_query_whose_passages_are_all_grade_zero_has_no_human_target() -> None:
    assert targets.human_target(np.zeros(3), 0.5) is None
    assert targets.human_target(np.array([]), 0.5) is None


def test_the_lm_target_by_hand() -> None:
    # ℓ = −0.5, −0.8 with τ = 0.1: e^(−5) : e^(−8) = 1 : e^(−3) = 1 : 0.0497871
    target = targets.lm_target(np.array([-0.5, -0.8]), 0.1)
    assert target == pytest.approx([1 / 1.0497871, 0.0497871 / 1.0497871])


def test_an_answer_that_needs_no_passage_gives_no_lm_target() -> None:
    scores = np.array([-0.5, -0.8])
    assert targets.lm_target(scores, 0.1, without_passage=-0.5) is None
    assert targets.lm_target(scores, 0.1, without_passage=-0.6) is not None
    assert targets.lm_target(np.array([]), 0.1) is None


@pytest.mark.parametrize(
    ("grades", "expected"),
    [
        ([3, 2, 1, 0], [True, True, False, False]),
        ([1, 0], [True, False]),  # a collection of 0 and 1 only
        ([1.5, 1, 0], [True, False, False]),
        ([0, 0], [False, False]),
    ],
)
def test_positives_are_grade_two_or_the_best_there_is(grades: list[float], expected: list[bool]) -> None:
    assert targets.positives(np.array(grades, dtype=float)).tolist() == expected


def test_weights_have_mean_one_and_keep_their_proportion() -> None:
    assert targets.query_weights(np.array([1.0, 3.0])).tolist() == [0.5, 1.5]
    with pytest.raises(ValueError, match="reliability"):
        targets.query_weights(np.zeros(2))
