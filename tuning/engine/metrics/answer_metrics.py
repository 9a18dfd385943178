"""How close an answer is to what a person wrote: exact match and F1, as SQuAD counts them, ROUGE-L, and refusals.

Rajpurkar et al. 2016 (doi:10.18653/v1/D16-1264): case, punctuation and English articles do not count; F1 is over
words. We differ for text written without spaces: each Chinese, Japanese or Thai character is a word of its own;
and punctuation is all of Unicode's, not ASCII's alone.
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
    """The words that count, in order; empty for a text of articles and punctuation alone."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(letter for letter in plain if not _is_punctuation(letter))
    return [word for word in _WORD.findall(kept) if word not in _ARTICLES]


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 when the words are those of one of the references, else 0."""
    found = words(answer)
    return float(any(found == words(reference) for reference in references))


def f1(answer: str, references: Sequence[str]) -> float:
    """The best F1 over the references, in [0, 1]; two texts without words are equal; without a reference 0."""
    found = words(answer)
    return max((_f1(found, words(reference)) for reference in references), default=0.0)


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """The best ROUGE-L F-measure over the references, in [0, 1], of the words that count; for long answers.

    Lin 2004 (https://aclanthology.org/W04-1013), §3: the longest common subsequence of the two texts as one
    sentence each. The arithmetic is rouge-score's; the words are ours, so that Chinese counts by character.
    """
    return max((_rouge(answer, reference) for reference in references), default=0.0)


@dataclass(frozen=True)
class Refusals:
    """How well refusals fall on the unanswerable: of `refused` answers and `unanswerable` queries, `right` are both.

    precision, recall: None where nothing was refused, or nothing is unanswerable: neither 0 nor 1 would be true.
    """

    refused: int
    unanswerable: int
    right: int

    @property
    def precision(self) -> float | None:
        """Of the refusals, the share that was called for."""
        return self.right / self.refused if self.refused else None

    @property
    def recall(self) -> float | None:
        """Of the unanswerable queries, the share that was refused."""
        return self.right / self.unanswerable if self.unanswerable else None


def refusals(written: Mapping[str, str], unanswerable: Container[str], refusal: str) -> Refusals:
    """query_id → answer, held against the ids of the queries that cannot be answered.

    An answer refuses when its words begin with those of the refusal: what is added after it changes nothing.
    """
    mark = words(refusal)
    refused = {query_id for query_id, answer in written.items() if mark and words(answer)[: len(mark)] == mark}
    expected = {query_id for query_id in written if query_id in unanswerable}
    return Refusals(len(refused), len(expected), len(refused & expected))


def _rouge(answer: str, reference: str) -> float:
    if not words(answer) or not words(reference):
        return float(words(answer) == words(reference))
    found = _scorer().score(reference, answer)["rougeL"].fmeasure
    return float(found)


@cache
def _scorer() -> Any:
    from rouge_score import rouge_scorer
    from rouge_score.tokenizers import Tokenizer

    class Words(Tokenizer):  # type: ignore[misc]
        """The library's seam for other scripts."""

        def tokenize(self, text: str) -> list[str]:
            return words(text)

    return rouge_scorer.RougeScorer(["rougeL"], tokenizer=Words())


def _f1(found: list[str], wanted: list[str]) -> float:
    if not found or not wanted:
        return float(found == wanted)
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted))


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")


MEASURES: dict[str, Callable[[str, Sequence[str]], float]] = {"em": exact_match, "f1": f1, "rougeL": rouge_l}
