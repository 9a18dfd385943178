"""Exact match and F1, worked out by hand."""

import pytest

from tuning.engine.metrics import answer_metrics


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
def test_words_without_case_punctuation_and_articles(text: str, expected: list[str]) -> None:
    assert answer_metrics.words(text) == expected


def test_exact_match_holds_for_any_reference() -> None:
    assert answer_metrics.exact_match("The Panthers.", ["Broncos", "panthers"]) == 1.0
    assert answer_metrics.exact_match("the panthers won", ["panthers"]) == 0.0
    assert answer_metrics.exact_match("anything", []) == 0.0


def test_f1_is_over_shared_words_and_takes_the_best_reference() -> None:
    # shared 2 of 3 and 4 words: 2 · 2 / (3 + 4)
    assert answer_metrics.f1("red green blue", ["red green is nice", "nothing"]) == pytest.approx(4 / 7)
    # a word shared once counts once: 2 · 1 / (2 + 1)
    assert answer_metrics.f1("red red", ["red"]) == pytest.approx(2 / 3)


def test_f1_of_chinese_is_by_character() -> None:
    # 天安门广场 against 天安门: 3 shared of 5 and 3
    assert answer_metrics.f1("天安门广场", ["天安门"]) == pytest.approx(6 / 8)


def test_texts_without_words() -> None:
    assert answer_metrics.f1("", ["the"]) == 1.0
    assert answer_metrics.f1("", ["word"]) == 0.0
    assert answer_metrics.f1("word", []) == 0.0


def test_rouge_l_is_over_the_longest_common_subsequence() -> None:
    # "red blue" is the longest of 3 and 4 words: P = 2/3, R = 2/4, F = 2 · 2 / (3 + 4)
    assert answer_metrics.rouge_l("red green blue", ["red sky, blue sea"]) == pytest.approx(4 / 7)
    assert answer_metrics.rouge_l("blue red", ["red blue", "nothing"]) == pytest.approx(1 / 2)


def test_rouge_l_of_chinese_is_by_character() -> None:
    # 天门 is left of 天安门 in order: 2 · 2 / (3 + 2)
    assert answer_metrics.rouge_l("天安门", ["天门"]) == pytest.approx(4 / 5)


def test_rouge_l_of_texts_without_words() -> None:
    assert answer_metrics.rouge_l("", ["the"]) == 1.0
    assert answer_metrics.rouge_l("", ["word"]) == 0.0
    assert answer_metrics.rouge_l("word", []) == 0.0


def test_refusals_are_counted_with_their_precision_and_recall() -> None:
    answers = {
        "1": "the text does not say",
        "2": "The text does not say. Ask elsewhere.",
        "3": "Paris",
        "4": "Rome",
    }
    refusals = answer_metrics.count_refusals(answers, {"2", "3", "not asked"}, "The text does not say.")
    assert (refusals.refused, refusals.unanswerable, refusals.correct) == (2, 2, 1)
    assert (refusals.precision, refusals.recall) == (0.5, 0.5)


def test_without_refusals_or_unanswerable_queries_precision_and_recall_are_none() -> None:
    refusals = answer_metrics.count_refusals({"1": "Paris"}, set(), "No answer.")
    assert (refusals.precision, refusals.recall) == (None, None)
