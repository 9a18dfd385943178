"""Query-biased excerpts: the words that a passage shares with the question, and the part of a long one shown first.

Words match by stem (English) or by pairs of characters (Chinese); stop words never match. All results are offsets
into the passage's own text, so that the text shown is the text judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MAX_WHOLE_CHARS = 900  # a passage no longer than this is shown whole
EXCERPT_CHARS = 520  # shown of a longer one

_HAN = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_FIRST_HAN = "\u3040"
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
_WORD = re.compile(rf"[{_HAN}]+|[^\W{_HAN}]+")
_BREAK = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|\n+")
_STOP_WORD_TEXT = (
    "a an and are as at be been but by can could did do does for from get had has have how i if in into is it its "
    "me my no not of on or our she should so some than that the their them then there they this to up us was we were "
    "what when where which who why will with would you your"
)
_STOP_WORDS = frozenset(_STOP_WORD_TEXT.split())
_HAN_STOP_WORD_TEXT = "的 了 是 在 我 和 有 就 不 人 都 一 上 也 很 到 要 去 你 会 着 吗 呢 什么 怎么 如何 哪些"
_HAN_STOP_WORDS = frozenset(_HAN_STOP_WORD_TEXT.split())


@dataclass(frozen=True)
class Piece:
    """A run of text that matches the question or does not."""

    text: str
    is_match: bool


@dataclass(frozen=True)
class Excerpt:
    """A passage in three parts that together are its text: folded, shown (`core`), folded."""

    before: tuple[Piece, ...]
    core: tuple[Piece, ...]
    after: tuple[Piece, ...]

    @property
    def is_folded(self) -> bool:
        return bool(self.before or self.after)


@lru_cache(maxsize=2000)
def excerpt(text: str, question: str) -> Excerpt:
    """Return the passage with its matched words, folded to the part that matches best when it is long.

    Cached: several people judge a query, and each opens it more than once.
    """
    spans = matched_spans(text, question)
    start, end = best_span(text, spans)
    return Excerpt(
        before=_pieces(text, spans, 0, start),
        core=_pieces(text, spans, start, end),
        after=_pieces(text, spans, end, len(text)),
    )


def matched_spans(text: str, question: str) -> list[tuple[int, int]]:
    """Return the spans [start, end) of the words of `text` that `question` has too, in order, not overlapping."""
    question_terms = _question_terms(question)
    spans: list[tuple[int, int]] = []
    for term, start, end in _terms(text):
        if term not in question_terms:
            continue
        if spans and start <= spans[-1][1] and _is_han(text[start]):
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


@lru_cache(maxsize=1000)
def _question_terms(question: str) -> frozenset[str]:
    """Return the terms of the question; cached, because a page needs them for each of its passages."""
    return frozenset(term for term, _, _ in _terms(question))


def best_span(text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the [start, end) to show first: whole sentences of about EXCERPT_CHARS with most matched words.

    Ties go to the earlier place; without a match the beginning is shown. A short text is shown whole.
    """
    if len(text) <= MAX_WHOLE_CHARS:
        return 0, len(text)
    starts = [0, *(match.end() for match in _BREAK.finditer(text) if match.end() < len(text))]
    best = max(starts, key=lambda start: (_match_score(text, spans, start, start + EXCERPT_CHARS), -start))
    ends = [start for start in starts if best + EXCERPT_CHARS * 0.6 <= start <= best + EXCERPT_CHARS * 1.3]
    target = best + EXCERPT_CHARS
    end = min(ends, key=lambda end: abs(end - target), default=_word_end(text, target))
    return (best, end) if len(text) - end > EXCERPT_CHARS / 4 else (best, len(text))


def _match_score(text: str, spans: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """Return the weight of the matched words in a window: a distinct word counts ten times a repeated one."""
    words = [text[a:b].lower() for a, b in spans if start <= a and b <= end]
    return 10 * len(set(words)) + len(words)


def _word_end(text: str, position: int) -> int:
    space = re.compile(r"\s").search(text, min(position, len(text)))
    return space.end() if space else len(text)


def _pieces(text: str, spans: Sequence[tuple[int, int]], start: int, end: int) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    position = start
    for a, b in spans:
        a, b = max(a, start), min(b, end)
        if a >= b:
            continue
        if a > position:
            pieces.append(Piece(text[position:a], False))
        pieces.append(Piece(text[a:b], True))
        position = b
    if position < end:
        pieces.append(Piece(text[position:end], False))
    return tuple(pieces)


def _terms(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each term that is no stop word, with its span: the stem of a word, or a pair of Han characters."""
    for match in _WORD.finditer(text):
        word, start = match.group(), match.start()
        if word[0] >= _FIRST_HAN and _is_han(word[0]):
            for i in range(len(word) - 1):
                pair = word[i : i + 2]
                if not (pair in _HAN_STOP_WORDS or pair[0] in _HAN_STOP_WORDS or pair[1] in _HAN_STOP_WORDS):
                    yield pair, start + i, start + i + 2
        elif term := _term(word):
            yield term, start, match.end()


def _is_han(character: str) -> bool:
    return _HAN_CHARACTER.match(character) is not None


@lru_cache(maxsize=50_000)
def _term(word: str) -> str:
    """Return the stem of a word; empty for a stop word and for a single letter."""
    lower = word.lower()
    if lower in _STOP_WORDS or (len(word) == 1 and not word.isdigit()):
        return ""
    return str(_stemmer().stemWord(lower))


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
