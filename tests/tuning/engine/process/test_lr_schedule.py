"""tuning/engine/process/lr_schedule.py by numbers worked by hand."""

import pytest

from tuning.engine.process.lr_schedule import lr_factor


def test_the_linear_decay_rises_then_falls_and_is_never_zero() -> None:
    rates = [lr_factor(step, 10, 0.2, "linear") for step in range(10)]
    assert rates[:2] == [0.5, 1.0]
    assert all(left > right > 0 for left, right in zip(rates[1:], rates[2:], strict=False))
    assert lr_factor(0, 1, 0.1, "linear") == 1.0


def test_the_cosine_decay_rises_linearly_and_falls_to_zero() -> None:
    # ten steps, a tenth of them warm-up: full at once, half way down at step 1 + 9/2, zero after the last
    assert lr_factor(0, 10, 0.1, "cosine") == 1.0
    assert lr_factor(1, 10, 0.1, "cosine") == 1.0
    assert lr_factor(10, 10, 0.1, "cosine") == pytest.approx(0.0)
    assert lr_factor(0, 10, 0.4, "cosine") == 0.25
