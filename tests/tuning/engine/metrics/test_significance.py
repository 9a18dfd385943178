"""Significance of a difference: bootstrap interval, randomisation test and power."""

import numpy as np
import pytest
from scipy import stats

from tuning.engine.metrics import significance


def test_the_power_of_a_split_by_hand() -> None:
    # (1.95996 + 0.84162)² · 0.25² / 0.03² = 7.84887 · 69.444 = 545.06
    assert significance.queries_needed(0.03, 0.25) == 546
    # 7.84887 · 0.04 / 0.0025 = 125.58
    assert significance.queries_needed(0.05, 0.2) == 126
    # 2.80159 · 0.16 / √122 = 0.0406
    assert significance.min_detectable_difference(122, 0.16) == pytest.approx(0.0406, abs=1e-4)


def test_the_exact_sign_test_on_three_queries() -> None:
    # differences 1, 1, 1: of the 8 sign patterns 2 reach |3|, so p → 2/8
    assert significance.randomisation_p(np.ones(3), permutations=20_000) == pytest.approx(0.25, abs=0.01)


def test_p_is_never_zero_and_is_one_without_a_difference() -> None:
    assert significance.randomisation_p(np.ones(500), permutations=99) == pytest.approx(1 / 100)
    assert significance.randomisation_p(np.zeros(5)) == 1.0


def test_the_interval_agrees_with_scipy() -> None:
    differences = np.random.default_rng(3).normal(0.03, 0.2, size=300)
    low, high = significance.bootstrap_interval(differences, seed=1)
    theirs = stats.bootstrap((differences,), np.mean, n_resamples=10_000, method="percentile", rng=2)
    assert low == pytest.approx(theirs.confidence_interval.low, abs=2e-3)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=2e-3)


def test_the_same_seed_gives_the_same_numbers_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(size=50)
    whole = significance.bootstrap_interval(differences, seed=5)
    assert significance.bootstrap_interval(differences, seed=5) == whole
    assert significance.bootstrap_interval(differences, seed=6) != whole
    monkeypatch.setattr(significance, "_CELLS", 1000)
    assert significance.bootstrap_interval(differences, seed=5) == whole


def test_a_comparison_counts_wins_and_needs_the_same_queries() -> None:
    compared = significance.compare({"a": 0.5, "b": 0.2, "c": 1.0}, {"a": 0.7, "b": 0.2, "c": 0.9})
    assert (compared.wins, compared.ties, compared.losses) == (1, 1, 1)
    assert compared.difference == pytest.approx((0.2 + 0.0 - 0.1) / 3)
    assert compared.low <= compared.difference <= compared.high
    assert compared.power_summary().startswith("3 queries: smallest detectable difference ")
    with pytest.raises(ValueError, match="same queries"):
        significance.compare({"a": 1.0}, {"b": 1.0})
    with pytest.raises(ValueError, match="at least one"):
        significance.compare({}, {})
