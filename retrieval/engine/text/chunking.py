"""A long text into passages that an encoder reads to the end.

Paragraphs stay whole where they fit, then sentences, then clauses, and only a clause that is still too long
is cut between words. A passage is a slice of the text: its lines and spaces are as they were. Sizes are
estimated from the characters, so that no encoder has to be loaded to cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]  # [start, end) in the text

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_PIECES = re.compile(rf"[{CJK}]|[^\W_{CJK}]+|[^\w\s]|_")
_LETTERS_PER_TOKEN = 6  # of a long word; short words are one token
_BLANK_LINE = re.compile(r"\n(?:[ \t]*\n)+")
_HEADING = re.compile(r"\s*(?:#{1,6} [^\n]*|[^\n]+\n[=\-~*^\"]{3,})\s*\Z")
# After a full stop and a space, or after a Chinese one; closing quotes and brackets stay with their sentence.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）】]*")
_ABBREVIATION = re.compile(r"\b(?:[A-Z]|e\.g|i\.e|cf|vs|etc|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|Inc|Ltd)\.\Z")
_CLAUSE_END = re.compile(r"[,;:](?=\s)|[，；：、]|(?=\n)")


def size(text: str) -> int:
    """About how many tokens a BERT-like encoder makes of the text: a CJK character is one, and so is a sign."""
    return sum(1 + (len(piece) - 1) // _LETTERS_PER_TOKEN for piece in _PIECES.findall(text))


def cut(text: str, most: int, title: str = "") -> list[str]:
    """The text as passages of at most `most` tokens by `size`, the title's own counted in; [] for blank text.

    Order is kept, and every word is in exactly one passage. Neighbours are joined while they fit; a last
    passage that would be a mere scrap is evened out with the one before. A long title leaves half the room.
    """
    room = max(most - size(title), most // 2, 1)
    spans = [span for block in _blocks(text) for span in _fitting(text, block, room)]
    groups = _joined([(span, size(text[slice(*span)])) for span in spans], room)
    passages = (_slice(text, group[0][0][0], group[-1][0][1]) for group in groups)
    return [passage for passage in passages if passage.strip()]


def _slice(text: str, start: int, end: int) -> str:
    """The slice without the space around it; a first line's indentation is kept, it means something in code."""
    inside = text[start:end].strip("\n").rstrip()
    return inside if start == 0 or text[start - 1] == "\n" or text[start] == "\n" else inside.lstrip()


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph, English or Chinese, in order."""
    spans = _split(text, (0, len(text)), _SENTENCE_END)
    return [sentence for span in spans if (sentence := text[slice(*span)].strip())]


def _blocks(text: str) -> list[Span]:
    """Paragraphs; a heading stands with the paragraph it announces."""
    out: list[Span] = []
    start = 0
    for match in _BLANK_LINE.finditer(text):
        if not _HEADING.match(text[start : match.start()]):
            out.append((start, match.end()))
            start = match.end()
    return [*out, (start, len(text))]


def _fitting(text: str, block: Span, room: int) -> Iterator[Span]:
    """A paragraph as slices that each fit the room."""
    if size(text[slice(*block)]) <= room:
        yield block
        return
    for sentence in _split(text, block, _SENTENCE_END):
        if size(text[slice(*sentence)]) <= room:
            yield sentence
            continue
        for clause in _split(text, sentence, _CLAUSE_END):
            if size(text[slice(*clause)]) <= room:
                yield clause
            else:
                yield from _chopped(text, clause, room)


def _split(text: str, span: Span, ends: re.Pattern[str]) -> Iterator[Span]:
    """The span cut after every end, except after an abbreviation; the slices together are the span."""
    start, stop = span
    for match in ends.finditer(text, start, stop):
        if start < match.end() < stop and not _ABBREVIATION.search(text, start, match.end()):
            yield start, match.end()
            start = match.end()
    yield start, stop


def _chopped(text: str, span: Span, room: int) -> Iterator[Span]:
    """Cuts between words, inside a word only when it alone is too long."""
    start, stop = span
    used = 0
    for match in _PIECES.finditer(text, *span):
        at, end = match.span()
        cost = size(match.group())
        if used and used + cost > room:
            yield start, at
            start, used = at, 0
        while cost > room:
            yield start, at + room * _LETTERS_PER_TOKEN
            start = at = at + room * _LETTERS_PER_TOKEN
            cost = size(text[at:end])
        used += cost
    yield start, stop


def _joined(pieces: list[tuple[Span, int]], room: int) -> list[list[tuple[Span, int]]]:
    """Neighbours put together while they fit, each with its size."""
    groups: list[list[tuple[Span, int]]] = []
    used = 0
    for piece in pieces:
        if groups and used + piece[1] <= room:
            groups[-1].append(piece)
            used += piece[1]
        else:
            groups.append([piece])
            used = piece[1]
    if len(groups) > 1:
        _even(groups[-2], groups[-1], room)
    return groups


def _even(left: list[tuple[Span, int]], last: list[tuple[Span, int]], room: int) -> None:
    """Move pieces to a last group that is under a quarter full, as long as it stays the smaller one."""
    left_size, last_size = sum(cost for _, cost in left), sum(cost for _, cost in last)
    if last_size * 4 >= room:
        return
    while len(left) > 1 and last_size + left[-1][1] <= left_size - left[-1][1]:
        left_size -= left[-1][1]
        last_size += left[-1][1]
        last.insert(0, left.pop())
