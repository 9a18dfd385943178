"""Answer metrics: exact match and F1 as in SQuAD, ROUGE-L, and precision and recall of refusals.

Rajpurkar et al. 2016 (doi:10.18653/v1/D16-1264): case, punctuation and English articles do not count; F1 is over
words. One difference for text without spaces: each Chinese, Japanese or Thai character is a word of its own; and
punctuation is that of all Unicode, not of ASCII only.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_ARTICLES = {"a", "an", "the"}
_UNSPACED = r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_WORD = re.compile(rf"{_UNSPACED}|(?:(?!{_UNSPACED})\S)+")


def words(text: str) -> list[str]:
    """Return the words that count, in order; empty for a text of articles and punctuation only."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    plain = "".join(letter for letter in folded if not _is_punctuation(letter))
    return [word for word in _WORD.findall(plain) if word not in _ARTICLES]


def exact_match(answer: str, references: Sequence[str]) -> float:
    """Exact match: 1 when the words are those of one of the references, else 0."""
    answer_words = words(answer)
    return float(any(answer_words == words(reference) for reference in references))


def f1(answer: str, references: Sequence[str]) -> float:
    """F1 of the words, the best over the references, in [0, 1]; 1 for two texts without words; 0 for no reference."""
    answer_words = words(answer)
    return max((_f1(answer_words, words(reference)) for reference in references), default=0.0)


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """ROUGE-L F-measure of the words, the best over the references, in [0, 1]; for long answers.

    Lin 2004 (https://aclanthology.org/W04-1013), §3: the longest common subsequence of the two texts as one sentence
    each. The arithmetic is rouge-score's; the words are those of `words`, so that Chinese counts by character.
    """
    return max((_rouge_l(answer, reference) for reference in references), default=0.0)


@dataclass(frozen=True)
class Refusals:
    """Counts of `refused` answers, of `unanswerable` queries, and of `correct` refusals: those that are both.

    precision, recall: None where nothing was refused, or nothing is unanswerable: neither 0 nor 1 would be true.
    """

    refused: int
    unanswerable: int
    correct: int

    @property
    def precision(self) -> float | None:
        """The share of the refusals that are correct."""
        return self.correct / self.refused if self.refused else None

    @property
    def recall(self) -> float | None:
        """The share of the unanswerable queries that were refused."""
        return self.correct / self.unanswerable if self.unanswerable else None


def count_refusals(answers: Mapping[str, str], unanswerable: Container[str], refusal: str) -> Refusals:
    """Return the refusals among query_id → answer. unanswerable: ids of the queries that cannot be answered.

    An answer is a refusal when its words begin with those of `refusal`, whatever follows.
    """
    start = words(refusal)
    refused = {query_id for query_id, answer in answers.items() if start and words(answer)[: len(start)] == start}
    expected = {query_id for query_id in answers if query_id in unanswerable}
    return Refusals(len(refused), len(expected), len(refused & expected))


def _rouge_l(answer: str, reference: str) -> float:
    if not words(answer) or not words(reference):
        return float(words(answer) == words(reference))
    return float(_rouge_scorer().score(reference, answer)["rougeL"].fmeasure)


@cache
def _rouge_scorer() -> Any:
    from rouge_score import rouge_scorer
    from rouge_score.tokenizers import Tokenizer

    class Words(Tokenizer):  # type: ignore[misc]
        """The library's extension point for other scripts."""

        def tokenize(self, text: str) -> list[str]:
            return words(text)

    return rouge_scorer.RougeScorer(["rougeL"], tokenizer=Words())


def _f1(answer_words: list[str], reference_words: list[str]) -> float:
    if not answer_words or not reference_words:
        return float(answer_words == reference_words)
    common = (Counter(answer_words) & Counter(reference_words)).total()
    return 2 * common / (len(answer_words) + len(reference_words))


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")


METRICS: dict[str, Callable[[str, Sequence[str]], float]] = {"em": exact_match, "f1": f1, "rougeL": rouge_l}
