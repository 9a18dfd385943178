"""How close an answer is to what a person wrote: exact match and F1, as SQuAD counts them.

Rajpurkar et al. 2016 (doi:10.18653/v1/D16-1264): case, punctuation and English articles do not count; F1 is over
words. We differ for text written without spaces: each Chinese, Japanese or Thai character is a word of its own;
and punctuation is all of Unicode's, not ASCII's alone.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

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


def _f1(found: list[str], wanted: list[str]) -> float:
    if not found or not wanted:
        return float(found == wanted)
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted))


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")


MEASURES: dict[str, Callable[[str, Sequence[str]], float]] = {"em": exact_match, "f1": f1}
