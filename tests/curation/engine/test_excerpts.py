"""Which words are marked, and which part of a long passage is shown first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curation.engine.text.excerpts import CORE, FOLD_OVER, excerpt, matches


def marked(text: str, question: str) -> list[str]:
    return [text[start:end] for start, end in matches(text, question)]


def test_words_match_by_stem_and_common_ones_never() -> None:
    assert marked("The lions were sleeping in the zoo.", "where does a lion sleep?") == ["lions", "sleeping"]


def test_chinese_matches_by_pairs_of_characters_joined_where_they_touch() -> None:
    assert marked("动物园九点开门，六点关门。", "动物园什么时候开门") == ["动物园", "开门"]


def test_a_short_passage_is_shown_whole() -> None:
    assert not excerpt("Lions sleep. " * 10, "lions").is_folded


def test_a_long_passage_is_folded_to_the_part_that_matches() -> None:
    filler = "Nothing of interest stands here at all. " * 30
    found = excerpt(filler + "The panda eats bamboo. " + filler, "what does a panda eat")
    core = "".join(piece.text for piece in found.core)
    assert "The panda eats bamboo." in core and found.before and found.after
    assert core.startswith(("Nothing", "The")) and CORE * 0.6 <= len(core) <= CORE * 1.3


def test_without_a_match_the_beginning_is_shown() -> None:
    found = excerpt("One sentence of many. " * 100, "zebra")
    assert not found.before and found.after


@given(st.text(max_size=2500), st.text(max_size=40))
def test_the_three_parts_are_the_passage_character_by_character(text: str, question: str) -> None:
    found = excerpt(text, question)
    assert "".join(piece.text for part in (found.before, found.core, found.after) for piece in part) == text


@given(st.text(alphabet="狮子睡觉 lion\n.。", min_size=FOLD_OVER + 1, max_size=FOLD_OVER * 3))
def test_what_is_shown_is_never_empty(text: str) -> None:
    assert excerpt(text, "狮子 lion").core
