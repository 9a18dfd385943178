"""When two texts say the same: equal once case and punctuation are gone, or nearly the same run of characters.

Exact and plain. What is compared is a handful of passages of one query, or of queries that find the same document,
so nothing has to be hashed into bands first. Characters and not words: Chinese has no spaces.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Shingles of so many characters. In long text short ones are shared by everything; a question has few long ones.
PASSAGE_SHINGLE = 5
QUERY_SHINGLE = 3


def normalised(text: str) -> str:
    """The text in one case, width and form, without punctuation: what is left is what was asked."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w]+", " ", plain).split()) or plain.strip()


def name_of(text: str) -> str:
    """16 hex digits of the normalised text: the same for texts that differ in case and punctuation only."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()[:16]


def shingles(text: str, width: int) -> frozenset[str]:
    """Every run of `width` characters of the normalised text; the whole of it when it is shorter."""
    plain = normalised(text)
    return frozenset(plain[start : start + width] for start in range(max(len(plain) - width, 0) + 1))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared shingles by all shingles, in [0, 1]; 1 for the same set, two empty ones included."""
    if first == second:
        return 1.0
    return len(first & second) / len(first | second)


def numbers(text: str) -> tuple[str, ...]:
    """The numbers a text names, in order: questions that differ in one are two questions."""
    return tuple(re.findall(r"\d+", normalised(text)))
