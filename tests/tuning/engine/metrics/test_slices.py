"""Slices of the test split."""

from __future__ import annotations

import numpy as np
import pytest

from tuning.engine.data.examples import JudgedQuery
from tuning.engine.metrics import slices

ROWS = [
    JudgedQuery("1", "Who roars?", {"lion": 3, "crow": 0}, split="train", cluster="a"),
    JudgedQuery("2", "Who caws?", {"crow": 3}, split="test", cluster="b"),
    JudgedQuery("3", "Which cat roars?", {"lion": 2}, split="test", cluster="c"),
    JudgedQuery("4", "谁在吼叫？", {"lion": 2}, split="test", cluster="c"),
    JudgedQuery("5", "だれがほえる？", {}, is_unanswerable=True, split="test", cluster="d"),
]


def test_each_slice_holds_its_queries() -> None:
    parts = slices.slice_test_split(ROWS)
    assert parts["seen"] == {"3", "4"}  # the lion is relevant to the training query; the crow was only judged there
    assert parts["unseen"] == {"2", "5"}
    assert parts["frequent"] == {"3", "4"} and parts["rare"] == {"2", "5"}
    assert parts["unanswerable"] == {"5"} and parts["answerable"] == {"2", "3", "4"}
    assert (parts["latin"], parts["zh"], parts["ja"]) == ({"2", "3"}, {"4"}, {"5"})
    assert "far" not in parts


def test_the_third_furthest_from_training_is_far() -> None:
    parts = slices.slice_test_split(ROWS, {"2": 0.4, "3": 0.9, "4": 0.2, "5": 0.3})
    assert parts["far"] == {"4"}  # round(4 / 3)
    assert parts["near"] == {"2", "3", "5"}


def test_a_slice_that_is_empty_or_the_whole_test_split_is_left_out() -> None:
    assert slices.slice_test_split([row for row in ROWS if row.query_id in "12"]) == {}
    assert slices.slice_test_split([]) == {}


def test_the_nearest_cosine_is_the_one_to_the_nearest_training_query() -> None:
    train = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    test = np.array([[0, 1], [1, 0]], dtype=np.float32)
    assert slices.nearest_cosines(test, train) == pytest.approx([0.8, 1.0])
    assert slices.nearest_cosines(test, train[:0]) == [-1.0, -1.0]


def test_a_text_without_letters_has_no_script() -> None:
    assert slices.script("42?") == ""
    assert slices.script("Что это?") == "cyrillic"
