import re

from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.engine.text import chunking


def test_short_paragraphs_share_a_passage_and_stay_whole() -> None:
    text = "One two three.\n\nFour five six.\n\nSeven eight nine."
    assert chunking.cut(text, 8) == ["One two three.\n\nFour five six.", "Seven eight nine."]  # 4 + 4, 4
    assert chunking.cut(text, 100) == [text]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = "One two three. Four five six. Seven eight nine."
    assert chunking.cut(text, 8) == ["One two three. Four five six.", "Seven eight nine."]


def test_chinese_is_cut_between_sentences_too() -> None:
    text = "今天天气很好。我们去公园吧！你说呢？"
    assert chunking.sentences(text) == ["今天天气很好。", "我们去公园吧！", "你说呢？"]
    assert chunking.cut(text, 14) == ["今天天气很好。我们去公园吧！", "你说呢？"]  # 7 + 7, 5


def test_a_scrap_at_the_end_is_evened_out() -> None:
    text = "One two three. Four five six. Seven eight nine. Ten."
    assert chunking.cut(text, 12) == ["One two three. Four five six.", "Seven eight nine. Ten."]  # not 12, 2


def test_an_abbreviation_ends_no_sentence_and_quotes_stay_with_theirs() -> None:
    assert chunking.sentences('He said "Stop." Then Dr. Who left, e.g. by bus.') == [
        'He said "Stop."',
        "Then Dr. Who left, e.g. by bus.",
    ]


def test_a_heading_stands_with_its_paragraph() -> None:
    text = "a b c d e f\n\n## Next\n\ng h i j"
    assert chunking.cut(text, 8) == ["a b c d e f", "## Next\n\ng h i j"]


def test_the_title_takes_its_room() -> None:
    text = "One two three. Four five six."
    assert len(chunking.cut(text, 8)) == 1
    assert len(chunking.cut(text, 8, "A title")) == 2


def test_indentation_of_code_is_kept() -> None:
    text = "words " * 30 + "\n\n    if x:\n        y()\n"
    assert chunking.cut(text, 30)[-1] == "    if x:\n        y()"


def test_blank_text_has_no_passage() -> None:
    assert chunking.cut(" \n\n ", 50) == []


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab .,!\n黑豹。，“”#-", max_size=400), st.integers(2, 40))
def test_nothing_is_lost_or_doubled_and_every_passage_fits(text: str, most: int) -> None:
    passages = chunking.cut(text, most)
    assert re.sub(r"\s", "", "".join(passages)) == re.sub(r"\s", "", text)
    assert all(chunking.size(passage) <= most for passage in passages)
