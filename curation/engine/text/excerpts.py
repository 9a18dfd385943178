"""Reading help: which words of a passage the question shares, and which part of a long one to show first.

Words match by stem (English) or by pairs of characters (Chinese); words that every text has never match.
Everything is offsets into the passage's own text, so that nothing shown differs from what is judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

FOLD_OVER = 900  # characters; a passage no longer than this is shown whole
CORE = 520  # characters shown of a longer one

_HAN = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_FIRST_HAN = "\u3040"
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_WORD = re.compile(rf"[{_HAN}]+|[^\W{_HAN}]+")
_BREAK = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|\n+")
_COMMON_WORDS = (
    "a an and are as at be been but by can could did do does for from get had has have how i if in into is it its "
    "me my no not of on or our she should so some than that the their them then there they this to up us was we were "
    "what when where which who why will with would you your"
)
_COMMON = frozenset(_COMMON_WORDS.split())
_COMMON_HAN_WORDS = "的 了 是 在 我 和 有 就 不 人 都 一 上 也 很 到 要 去 你 会 着 吗 呢 什么 怎么 如何 哪些"
_COMMON_HAN = frozenset(_COMMON_HAN_WORDS.split())


@dataclass(frozen=True)
class Piece:
    """A run of text, matched or not."""

    text: str
    is_match: bool


@dataclass(frozen=True)
class Excerpt:
    """A passage in three parts that together are its text: folded, shown, folded."""

    before: tuple[Piece, ...]
    core: tuple[Piece, ...]
    after: tuple[Piece, ...]

    @property
    def is_folded(self) -> bool:
        return bool(self.before or self.after)


@lru_cache(maxsize=2000)
def excerpt(text: str, question: str) -> Excerpt:
    """The passage with its matched words, folded to the part that matches best when it is long.

    Kept: several people judge a query, and each is shown it more than once.
    """
    spans = matches(text, question)
    start, end = core(text, spans)
    return Excerpt(
        before=_pieces(text, spans, 0, start),
        core=_pieces(text, spans, start, end),
        after=_pieces(text, spans, end, len(text)),
    )


def matches(text: str, question: str) -> list[tuple[int, int]]:
    """Spans [start, end) of the words of `text` that `question` has too, in order, not overlapping."""
    wanted = _wanted(question)
    spans: list[tuple[int, int]] = []
    for term, start, end in _terms(text):
        if term not in wanted:
            continue
        if spans and start <= spans[-1][1] and _is_han(text[start]):
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


@lru_cache(maxsize=1000)
def _wanted(question: str) -> frozenset[str]:
    """A page asks this for each of its passages."""
    return frozenset(term for term, _, _ in _terms(question))


def core(text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The [start, end) to show first: whole sentences of about CORE characters holding most matched words.

    Ties go to the earlier place; no match at all: the beginning. A short text is shown whole.
    """
    if len(text) <= FOLD_OVER:
        return 0, len(text)
    starts = [0, *(found.end() for found in _BREAK.finditer(text) if found.end() < len(text))]
    best = max(starts, key=lambda start: (_held(text, spans, start, start + CORE), -start))
    later = [start for start in starts if best + CORE * 0.6 <= start <= best + CORE * 1.3]
    end = min(later, key=lambda start: abs(start - best - CORE), default=_word_end(text, best + CORE))
    return (best, end) if len(text) - end > CORE / 4 else (best, len(text))


def _held(text: str, spans: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """Distinct matched words inside a window count ten times a repeated one."""
    inside = [text[a:b].lower() for a, b in spans if start <= a and b <= end]
    return 10 * len(set(inside)) + len(inside)


def _word_end(text: str, position: int) -> int:
    space = re.compile(r"\s").search(text, min(position, len(text)))
    return space.end() if space else len(text)


def _pieces(text: str, spans: Sequence[tuple[int, int]], start: int, end: int) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    at = start
    for a, b in spans:
        a, b = max(a, start), min(b, end)
        if a >= b:
            continue
        if a > at:
            pieces.append(Piece(text[at:a], False))
        pieces.append(Piece(text[a:b], True))
        at = b
    if at < end:
        pieces.append(Piece(text[at:end], False))
    return tuple(pieces)


def _terms(text: str) -> Iterator[tuple[str, int, int]]:
    for found in _WORD.finditer(text):
        word, start = found.group(), found.start()
        if word[0] >= _FIRST_HAN and _is_han(word[0]):
            for i in range(len(word) - 1):
                pair = word[i : i + 2]
                if pair not in _COMMON_HAN and not (pair[0] in _COMMON_HAN or pair[1] in _COMMON_HAN):
                    yield pair, start + i, start + i + 2
        elif term := _term(word):
            yield term, start, found.end()


def _is_han(character: str) -> bool:
    return _HAN_CHARACTER.match(character) is not None


@lru_cache(maxsize=50_000)
def _term(word: str) -> str:
    """The stem of a word; nothing of one that every text has."""
    small = word.lower()
    if small in _COMMON or (len(word) == 1 and not word.isdigit()):
        return ""
    return str(_stemmer().stemWord(small))


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
