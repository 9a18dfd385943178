"""Chunking: split a long text into passages that fit the encoder's maximum length.

Paragraphs stay whole where they fit, then sentences, then clauses; only a clause that is still too long is cut between
words. A passage is a slice of the text with its lines and spaces unchanged. Lengths are estimated from the characters,
so that chunking needs no encoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]  # [start, end) in the text

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_PIECES = re.compile(rf"[{CJK}]|[^\W_{CJK}]+|[^\w\s]|_")
_CHARS_PER_TOKEN = 6  # of a long word; short words are one token
_BLANK_LINE = re.compile(r"\n(?:[ \t]*\n)+")
_HEADING = re.compile(r"\s*(?:#{1,6} [^\n]*|[^\n]+\n[=\-~*^\"]{3,})\s*\Z")
# After a full stop and a space, or after a Chinese one; closing quotes and brackets stay with their sentence.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）】]*")
_ABBREVIATION = re.compile(r"\b(?:[A-Z]|e\.g|i\.e|cf|vs|etc|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|Inc|Ltd)\.\Z")
_CLAUSE_END = re.compile(r"[,;:](?=\s)|[，；：、]|(?=\n)")


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of the text in a BERT-like encoder: a CJK character is one, a punctuation mark too."""
    return sum(1 + (len(piece) - 1) // _CHARS_PER_TOKEN for piece in _PIECES.findall(text))


def chunk(text: str, max_tokens: int, title: str = "") -> list[str]:
    """Split the text into passages of at most `max_tokens` estimated tokens, title included; [] for blank text.

    Order is kept, and every word is in exactly one passage. Neighbours are joined while they fit; a very short last
    passage takes some of the one before. A long title takes at most half of the tokens.
    """
    limit = max(max_tokens - estimate_tokens(title), max_tokens // 2, 1)
    spans = [span for block in _blocks(text) for span in _fitting_spans(text, block, limit)]
    groups = _join([(span, estimate_tokens(text[slice(*span)])) for span in spans], limit)
    passages = (_slice(text, group[0][0][0], group[-1][0][1]) for group in groups)
    return [passage for passage in passages if passage.strip()]


def _slice(text: str, start: int, end: int) -> str:
    """Return the slice without surrounding white space; the indentation of a first line is kept, for code."""
    stripped = text[start:end].strip("\n").rstrip()
    return stripped if start == 0 or text[start - 1] == "\n" or text[start] == "\n" else stripped.lstrip()


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a paragraph, English or Chinese, in order."""
    spans = _split(text, (0, len(text)), _SENTENCE_END)
    return [sentence for span in spans if (sentence := text[slice(*span)].strip())]


def _blocks(text: str) -> list[Span]:
    """Return the paragraphs; a heading belongs to the paragraph that follows it."""
    out: list[Span] = []
    start = 0
    for match in _BLANK_LINE.finditer(text):
        if not _HEADING.match(text[start : match.start()]):
            out.append((start, match.end()))
            start = match.end()
    return [*out, (start, len(text))]


def _fitting_spans(text: str, block: Span, limit: int) -> Iterator[Span]:
    """Yield the slices of a paragraph, each within `limit` tokens."""
    if estimate_tokens(text[slice(*block)]) <= limit:
        yield block
        return
    for sentence in _split(text, block, _SENTENCE_END):
        if estimate_tokens(text[slice(*sentence)]) <= limit:
            yield sentence
            continue
        for clause in _split(text, sentence, _CLAUSE_END):
            if estimate_tokens(text[slice(*clause)]) <= limit:
                yield clause
            else:
                yield from _split_words(text, clause, limit)


def _split(text: str, span: Span, ends: re.Pattern[str]) -> Iterator[Span]:
    """Yield the span's slices, cut after each match of `ends` except after an abbreviation."""
    start, stop = span
    for match in ends.finditer(text, start, stop):
        if start < match.end() < stop and not _ABBREVIATION.search(text, start, match.end()):
            yield start, match.end()
            start = match.end()
    yield start, stop


def _split_words(text: str, span: Span, limit: int) -> Iterator[Span]:
    """Yield slices cut between words, and inside a word only when it alone is too long."""
    start, stop = span
    used = 0
    for match in _PIECES.finditer(text, *span):
        word_start, word_end = match.span()
        tokens = estimate_tokens(match.group())
        if used and used + tokens > limit:
            yield start, word_start
            start, used = word_start, 0
        while tokens > limit:
            yield start, word_start + limit * _CHARS_PER_TOKEN
            start = word_start = word_start + limit * _CHARS_PER_TOKEN
            tokens = estimate_tokens(text[word_start:word_end])
        used += tokens
    yield start, stop


def _join(pieces: list[tuple[Span, int]], limit: int) -> list[list[tuple[Span, int]]]:
    """Group neighbouring (span, tokens) pairs while they fit together."""
    groups: list[list[tuple[Span, int]]] = []
    used = 0
    for piece in pieces:
        if groups and used + piece[1] <= limit:
            groups[-1].append(piece)
            used += piece[1]
        else:
            groups.append([piece])
            used = piece[1]
    if len(groups) > 1:
        _balance(groups[-2], groups[-1], limit)
    return groups


def _balance(previous: list[tuple[Span, int]], last: list[tuple[Span, int]], limit: int) -> None:
    """Move pieces to a last group that is under a quarter full, as long as it stays the smaller one."""
    previous_tokens, last_tokens = sum(tokens for _, tokens in previous), sum(tokens for _, tokens in last)
    if last_tokens * 4 >= limit:
        return
    while len(previous) > 1 and last_tokens + previous[-1][1] <= previous_tokens - previous[-1][1]:
        previous_tokens -= previous[-1][1]
        last_tokens += previous[-1][1]
        last.insert(0, previous.pop())
