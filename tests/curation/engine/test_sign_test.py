"""The sign test."""

from __future__ import annotations

import pytest

from curation.engine.statistics.sign_test import sign_test


def test_nine_of_ten() -> None:
    result = sign_test(9, 1)
    assert result is not None
    # two-sided: 2 · (C(10, 0) + C(10, 1)) / 2^10 = 22 / 1024
    assert result.p == pytest.approx(22 / 1024)
    assert result.share == 0.9
    assert (result.low, result.high) == pytest.approx((0.5550, 0.9975), abs=1e-4)  # Clopper–Pearson, from tables


def test_nobody_won() -> None:
    assert sign_test(0, 0) is None


def test_even_is_no_preference() -> None:
    result = sign_test(5, 5)
    assert result is not None and result.p == 1.0 and result.low < 0.5 < result.high
