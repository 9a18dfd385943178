"""Parts of a test split that are measured apart."""

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


def test_each_part_holds_its_queries() -> None:
    found = slices.slices(ROWS)
    assert found["seen"] == {"3", "4"}  # the lion is relevant to the training query; the crow was only judged there
    assert found["unseen"] == {"2", "5"}
    assert found["frequent"] == {"3", "4"} and found["rare"] == {"2", "5"}
    assert found["unanswerable"] == {"5"} and found["answerable"] == {"2", "3", "4"}
    assert (found["latin"], found["zh"], found["ja"]) == ({"2", "3"}, {"4"}, {"5"})
    assert "far" not in found


def test_the_third_furthest_from_training_is_far() -> None:
    found = slices.slices(ROWS, {"2": 0.4, "3": 0.9, "4": 0.2, "5": 0.3})
    assert found["far"] == {"4"}  # round(4 / 3)
    assert found["near"] == {"2", "3", "5"}


def test_a_part_that_is_the_whole_or_empty_is_left_out() -> None:
    assert slices.slices([row for row in ROWS if row.query_id in "12"]) == {}
    assert slices.slices([]) == {}


def test_nearness_is_the_cosine_to_the_nearest() -> None:
    train = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    test = np.array([[0, 1], [1, 0]], dtype=np.float32)
    assert slices.nearness(test, train) == pytest.approx([0.8, 1.0])
    assert slices.nearness(test, train[:0]) == [-1.0, -1.0]


def test_a_text_without_letters_has_no_script() -> None:
    assert slices.script("42?") == ""
    assert slices.script("Что это?") == "cyrillic"
