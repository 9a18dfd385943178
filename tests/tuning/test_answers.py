"""Exact match and F1, worked out by hand."""

import pytest

from tuning.engine import answers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Broncos!", ["broncos"]),
        ("a well-known fact", ["wellknown", "fact"]),  # as SQuAD's own script has it
        ("1,200 km", ["1200", "km"]),
        ("北京 in 中国。", ["北", "京", "in", "中", "国"]),
        ("the", []),
    ],
)
def test_words_that_count(text: str, expected: list[str]) -> None:
    assert answers.words(text) == expected


def test_exact_match_takes_any_reference() -> None:
    assert answers.exact_match("The Panthers.", ["Broncos", "panthers"]) == 1.0
    assert answers.exact_match("the panthers won", ["panthers"]) == 0.0
    assert answers.exact_match("anything", []) == 0.0


def test_f1_is_over_shared_words_and_takes_the_best_reference() -> None:
    # shared 2 of 3 and 4 words: 2 · 2 / (3 + 4)
    assert answers.f1("red green blue", ["red green is nice", "nothing"]) == pytest.approx(4 / 7)
    # a word shared once counts once: 2 · 1 / (2 + 1)
    assert answers.f1("red red", ["red"]) == pytest.approx(2 / 3)


def test_f1_of_chinese_is_by_character() -> None:
    # 天安门广场 against 天安门: 3 shared of 5 and 3
    assert answers.f1("天安门广场", ["天安门"]) == pytest.approx(6 / 8)


def test_texts_without_words() -> None:
    assert answers.f1("", ["the"]) == 1.0
    assert answers.f1("", ["word"]) == 0.0
    assert answers.f1("word", []) == 0.0
