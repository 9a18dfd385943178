"""Learning curve extrapolation: nested samples, gains, and the fit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuning.engine.data.examples import JudgedQuery
from tuning.engine.metrics import extrapolation


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1000, [50, 100, 200, 400, 800, 1000]),
        (400, [50, 100, 200, 400]),
        (100, [50, 100]),
        (60, [7, 15, 30, 60]),
        (12, [6, 12]),
        (3, [3]),
        (0, []),
    ],
)
def test_sample_sizes_double_up_to_all_queries(total: int, expected: list[int]) -> None:
    assert extrapolation.sample_sizes(total) == expected


def test_a_smaller_sample_is_inside_the_larger_and_paraphrases_stay_together() -> None:
    rows = [JudgedQuery(str(n), f"Question {n}", cluster=str(n // 3)) for n in range(30)]
    small, large = ({row.query_id for row in extrapolation.nested_sample(rows, size, 7)} for size in (9, 20))
    assert small < large
    assert len({row.cluster for row in extrapolation.nested_sample(rows, 9, 7)}) == 3
    assert {row.query_id for row in extrapolation.nested_sample(rows, 9, 8)} != small


def test_the_gain_per_hundred_is_over_the_queries_in_between() -> None:
    per_query = np.array([[0.2, 0.4], [0.3, 0.5], [0.5, 0.7]])
    first, second = extrapolation.gains_per_hundred([0, 50, 250], per_query)
    assert first == pytest.approx((0.2, 0.2, 0.2))  # 0.1 in 50 queries, for every test query alike
    assert second == pytest.approx((0.1, 0.1, 0.1))  # 0.2 in 200


def test_points_on_a_line_of_the_logarithm_are_fitted_exactly() -> None:
    sizes = [50, 100, 200, 400]
    per_query = np.array([[0.1 + 0.05 * math.log(n)] * 20 for n in sizes])
    fit = extrapolation.fit_learning_curve(sizes, per_query)
    assert fit is not None
    # 0.05 · ln(500 / 400)
    assert fit.gain == pytest.approx(0.05 * math.log(1.25))
    assert (fit.low, fit.high) == pytest.approx((fit.gain, fit.gain))
    assert fit.value_at(50) == pytest.approx(0.1 + 0.05 * math.log(50))


def test_scatter_and_few_test_queries_both_widen_the_interval() -> None:
    sizes = [50, 100, 200, 400]
    noise = np.random.default_rng(0).normal(0, 0.2, size=(1, 40)) * np.log(sizes)[:, None]
    line = np.array([[0.05 * math.log(n)] * 40 for n in sizes])
    scattered = line + np.array([[0.02], [-0.02], [-0.02], [0.02]])
    widths = [
        fit.high - fit.low
        for fit in map(lambda values: extrapolation.fit_learning_curve(sizes, values), (line, line + noise, scattered))
        if fit
    ]
    assert widths[0] < 1e-9 < min(widths[1:])


def test_three_points_are_too_few_for_a_fit() -> None:
    assert extrapolation.fit_learning_curve([50, 100, 200], np.ones((3, 9))) is None
