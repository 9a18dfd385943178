"""What a query is worth, by hand."""

from __future__ import annotations

import pytest

from curation.engine.statistics.sampling import Signals, divergence, first_hole, worth


def test_divergence_by_hand() -> None:
    """p = (1, 0), q = (½, ½), m = (¾, ¼): ½·log2(4/3) + ½·(½·log2(2/3) + ½·log2 2) = 0.3113."""
    assert divergence([1, 0], [0.5, 0.5]) == pytest.approx(0.311278)
    assert divergence([0.2, 0.8], [0.2, 0.8]) == 0
    assert divergence([1, 0], [0, 1]) == 1
    with pytest.raises(ValueError):
        divergence([1, 1], [1, 0])


def test_a_hole_is_the_first_unjudged_passage_of_the_top() -> None:
    assert first_hole([4, 7, 9], {4, 9}) == 2
    assert first_hole([4, 7], {4, 7}) == first_hole([], set()) == first_hole([1, 2], {1}, depth=1) == 0


def test_worth_adds_up_and_names_its_strongest_signal() -> None:
    assert worth(Signals()) == (0, "")
    assert worth(Signals(hole_rank=2, judged=1, slots=3)) == (pytest.approx(1 / 2 + 1 / 3), "hole")
    assert worth(Signals(age_days=300)) == (0.25, "age")
    assert worth(Signals(apart=2, age_days=15)) == (pytest.approx(2 / 3 + 0.125), "people")
    assert worth(Signals(asked=1)) == (0, "") and worth(Signals(asked=4)) == (0.375, "traffic")
