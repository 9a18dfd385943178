import re

from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.engine.text import chunking


def test_short_paragraphs_share_a_passage_and_stay_whole() -> None:
    text = "One two three.\n\nFour five six.\n\nSeven eight nine."
    assert chunking.chunk(text, 8) == ["One two three.\n\nFour five six.", "Seven eight nine."]  # 4 + 4, 4
    assert chunking.chunk(text, 100) == [text]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = "One two three. Four five six. Seven eight nine."
    assert chunking.chunk(text, 8) == ["One two three. Four five six.", "Seven eight nine."]


def test_chinese_is_cut_between_sentences_too() -> None:
    text = "今天天气很好。我们去公园吧！你说呢？"
    assert chunking.split_sentences(text) == ["今天天气很好。", "我们去公园吧！", "你说呢？"]
    assert chunking.chunk(text, 14) == ["今天天气很好。我们去公园吧！", "你说呢？"]  # 7 + 7, 5


def test_a_very_short_last_passage_takes_some_of_the_one_before() -> None:
    text = "One two three. Four five six. Seven eight nine. Ten."
    assert chunking.chunk(text, 12) == ["One two three. Four five six.", "Seven eight nine. Ten."]  # not 12, 2


def test_an_abbreviation_ends_no_sentence_and_quotes_stay_with_their_sentence() -> None:
    assert chunking.split_sentences('He said "Stop." Then Dr. Who left, e.g. by bus.') == [
        'He said "Stop."',
        "Then Dr. Who left, e.g. by bus.",
    ]


def test_a_heading_stays_with_its_paragraph() -> None:
    text = "a b c d e f\n\n## Next\n\ng h i j"
    assert chunking.chunk(text, 8) == ["a b c d e f", "## Next\n\ng h i j"]


def test_the_title_counts_in_the_limit() -> None:
    text = "One two three. Four five six."
    assert len(chunking.chunk(text, 8)) == 1
    assert len(chunking.chunk(text, 8, "A title")) == 2


def test_indentation_of_code_is_kept() -> None:
    text = "words " * 30 + "\n\n    if x:\n        y()\n"
    assert chunking.chunk(text, 30)[-1] == "    if x:\n        y()"


def test_blank_text_has_no_passage() -> None:
    assert chunking.chunk(" \n\n ", 50) == []


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab .,!\n黑豹。，“”#-", max_size=400), st.integers(2, 40))
def test_nothing_is_lost_or_doubled_and_every_passage_fits(text: str, max_tokens: int) -> None:
    passages = chunking.chunk(text, max_tokens)
    assert re.sub(r"\s", "", "".join(passages)) == re.sub(r"\s", "", text)
    assert all(chunking.estimate_tokens(passage) <= max_tokens for passage in passages)
