"""Text similarity for near-duplicates: equal text keys, or the Jaccard index of character shingles.

Exact and plain. Only a handful of passages of one query, or of queries that retrieve the same document, are compared,
so no hashing into bands is needed. Characters, not words: Chinese has no spaces.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Characters in a shingle. In long texts short shingles are shared by everything; a question has few long ones.
PASSAGE_SHINGLE = 5
QUERY_SHINGLE = 3


def normalise(text: str) -> str:
    """Return the text in one case, width and Unicode form, without punctuation; of punctuation alone, the text."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w]+", " ", plain).split()) or plain.strip()


def text_key(text: str) -> str:
    """Return 16 hex digits of the normalised text: equal for texts that differ in case and punctuation only."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()[:16]


def shingles(text: str, width: int) -> frozenset[str]:
    """Return every run of `width` characters of the normalised text; the whole text when it is shorter."""
    plain = normalise(text)
    return frozenset(plain[start : start + width] for start in range(max(len(plain) - width, 0) + 1))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the shared shingles over all shingles, in [0, 1]; 1 for two equal sets, empty ones included."""
    if first == second:
        return 1.0
    return len(first & second) / len(first | second)


def numbers_in(text: str) -> tuple[str, ...]:
    """Return the numbers of a text, in order: questions that differ in one number are two questions."""
    return tuple(re.findall(r"\d+", normalise(text)))
