"""The deployed prompt: its parts, and what is truncated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.engine.generation.prompts import (
    DEFAULT_PROMPT,
    NO_PASSAGE,
    BadTemplate,
    build_prompt,
    truncate_passages,
    truncate_text,
)


def words(text: str) -> int:
    return len(text.split())


def test_passages_stand_in_their_order_and_the_question_once() -> None:
    prompt = build_prompt("T: {passages}\nQ: {question}", " Why? ", ["first", "second"], count_tokens=words, budget=99)
    assert prompt == "T: first\n\nsecond\nQ: Why?"


def test_braces_in_a_text_stay_as_they_are() -> None:
    prompt = build_prompt(DEFAULT_PROMPT, "Is {passages} a slot?", ["{question} {x}"], count_tokens=words)
    assert "Is {passages} a slot?" in prompt
    assert prompt.startswith("{question} {x}")


def test_without_passages_the_prompt_says_so() -> None:
    assert NO_PASSAGE in build_prompt(DEFAULT_PROMPT, "Why?", [], count_tokens=words)
    assert NO_PASSAGE in build_prompt(DEFAULT_PROMPT, "Why?", ["  "], count_tokens=words)


@pytest.mark.parametrize("template", ["{passages}", "{question}", "", "{question} {question} {passages}"])
def test_a_template_without_each_slot_exactly_once_is_refused(template: str) -> None:
    with pytest.raises(BadTemplate):
        build_prompt(template, "q", [], count_tokens=words)


def test_the_question_survives_whatever_the_budget() -> None:
    question = "one two three four five six"
    prompt = build_prompt("{passages} {question}", question, ["a b c d"], count_tokens=words, budget=3)
    assert prompt == f"{NO_PASSAGE} {question}"


def test_short_passages_stay_whole_and_long_ones_share_the_tokens_that_are_left() -> None:
    passages = ["a b", "c " * 50, "d " * 50]
    # 12 tokens: "a b" takes 2, the other two have 10 between them
    assert [words(text) for text in truncate_passages(passages, 12, words)] == [2, 5, 5]


def test_passages_that_fit_exactly_are_not_truncated() -> None:
    assert truncate_passages(["a b", "c d e"], 5, words) == ["a b", "c d e"]


def test_truncation_ends_after_a_whole_word_or_a_whole_character() -> None:
    assert truncate_text("alpha beta gamma", 12, len) == "alpha beta"
    assert truncate_text("鸟能飞得很高", 4, len) == "鸟能飞得"
    assert truncate_text("alpha", 2, len) == ""


@given(st.lists(st.text(max_size=60), max_size=4), st.integers(0, 80))
def test_truncated_passages_never_have_more_than_the_maximum(passages: list[str], max_tokens: int) -> None:
    truncated = truncate_passages(passages, max_tokens, len)
    assert sum(map(len, truncated)) <= max(max_tokens, 0) or truncated == passages
    for text in truncated:
        assert any(passage.startswith(text) for passage in passages)
