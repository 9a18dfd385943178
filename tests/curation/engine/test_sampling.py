"""Stratified and disagreement sampling: the priority of a query, by hand."""

from __future__ import annotations

import pytest

from curation.engine.statistics.sampling import Signals, first_unjudged_rank, jensen_shannon_divergence, priority_score


def test_jensen_shannon_divergence_by_hand() -> None:
    """p = (1, 0), q = (½, ½), m = (¾, ¼): ½·log2(4/3) + ½·(½·log2(2/3) + ½·log2 2) = 0.3113."""
    assert jensen_shannon_divergence([1, 0], [0.5, 0.5]) == pytest.approx(0.311278)
    assert jensen_shannon_divergence([0.2, 0.8], [0.2, 0.8]) == 0
    assert jensen_shannon_divergence([1, 0], [0, 1]) == 1
    with pytest.raises(ValueError):
        jensen_shannon_divergence([1, 1], [1, 0])


def test_the_first_unjudged_passage_of_the_top_is_found_by_its_rank() -> None:
    assert first_unjudged_rank([4, 7, 9], {4, 9}) == 2
    assert (
        first_unjudged_rank([4, 7], {4, 7})
        == first_unjudged_rank([], set())
        == first_unjudged_rank([1, 2], {1}, depth=1)
        == 0
    )


def test_the_priority_score_is_the_sum_of_the_signals_and_names_the_strongest() -> None:
    assert priority_score(Signals()) == (0, "")
    assert priority_score(Signals(unjudged_rank=2, submitted=1, slots=3)) == (pytest.approx(1 / 2 + 1 / 3), "hole")
    assert priority_score(Signals(age_days=300)) == (0.25, "age")
    assert priority_score(Signals(max_gap=2, age_days=15)) == (pytest.approx(2 / 3 + 0.125), "people")
    assert priority_score(Signals(times_asked=1)) == (0, "") and priority_score(Signals(times_asked=4)) == (
        0.375,
        "traffic",
    )
