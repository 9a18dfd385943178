"""Query-biased excerpts: the marked words, and the part of a long passage that is shown first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from curation.engine.text.excerpts import EXCERPT_CHARS, MAX_WHOLE_CHARS, excerpt, matched_spans


def marked(text: str, question: str) -> list[str]:
    return [text[start:end] for start, end in matched_spans(text, question)]


def test_words_match_by_stem_and_stop_words_never_match() -> None:
    assert marked("The lions were sleeping in the zoo.", "where does a lion sleep?") == ["lions", "sleeping"]


def test_chinese_matches_by_pairs_of_characters_joined_where_they_touch() -> None:
    assert marked("动物园九点开门，六点关门。", "动物园什么时候开门") == ["动物园", "开门"]


def test_a_short_passage_is_shown_whole() -> None:
    assert not excerpt("Lions sleep. " * 10, "lions").is_folded


def test_a_long_passage_is_folded_to_the_part_that_matches() -> None:
    filler = "Nothing of interest stands here at all. " * 30
    result = excerpt(filler + "The panda eats bamboo. " + filler, "what does a panda eat")
    core = "".join(piece.text for piece in result.core)
    assert "The panda eats bamboo." in core and result.before and result.after
    assert core.startswith(("Nothing", "The")) and EXCERPT_CHARS * 0.6 <= len(core) <= EXCERPT_CHARS * 1.3


def test_without_a_match_the_beginning_is_shown() -> None:
    result = excerpt("One sentence of many. " * 100, "zebra")
    assert not result.before and result.after


@given(st.text(max_size=2500), st.text(max_size=40))
def test_the_three_parts_are_the_passage_character_by_character(text: str, question: str) -> None:
    result = excerpt(text, question)
    assert "".join(piece.text for part in (result.before, result.core, result.after) for piece in part) == text


@given(st.text(alphabet="狮子睡觉 lion\n.。", min_size=MAX_WHOLE_CHARS + 1, max_size=MAX_WHOLE_CHARS * 3))
def test_the_excerpt_is_never_empty(text: str) -> None:
    assert excerpt(text, "狮子 lion").core
