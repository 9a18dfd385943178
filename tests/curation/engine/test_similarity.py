"""Text keys and the Jaccard index of shingles, for near-duplicates."""

from __future__ import annotations

import pytest

from curation.engine.text import similarity


def test_case_width_and_punctuation_do_not_change_the_text_key() -> None:
    assert similarity.text_key("  What IS  Python？ ") == similarity.text_key("what is python")
    assert similarity.text_key("What is Ruby?") != similarity.text_key("What is Python?")
    assert similarity.normalise("?!") == "?!"


def test_shingles_are_runs_of_characters_in_chinese_too() -> None:
    assert similarity.shingles("A bcd!", 3) == {"a b", " bc", "bcd"}
    assert similarity.shingles("蜗牛睡觉", 3) == {"蜗牛睡", "牛睡觉"}
    assert similarity.shingles("ab", 3) == {"ab"} and similarity.shingles("", 3) == {""}


def test_the_jaccard_index_is_the_share_of_common_shingles() -> None:
    one, other = similarity.shingles("abcde", 3), similarity.shingles("abcdx", 3)  # abc bcd cde · abc bcd cdx
    assert similarity.jaccard(one, other) == pytest.approx(2 / 4)
    assert similarity.jaccard(one, one) == 1.0 and similarity.jaccard(frozenset(), frozenset()) == 1.0
    assert similarity.jaccard(one, frozenset()) == 0.0


def test_the_numbers_of_a_text_are_found_in_any_width() -> None:
    assert similarity.numbers_in("Python ３.12, in 2 steps") == ("3", "12", "2")
    assert similarity.numbers_in("no number") == ()
