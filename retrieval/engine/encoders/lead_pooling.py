"""A passage's vector as the mean of two readings: its beginning, and as much of it as the encoder reads.

The vector of a long passage is a mean over its tokens, in which the body outweighs the title and the first lines that
say what the passage is about. Read once more by itself, the beginning has a voice of its own, for the price of a short
text and none at search. A checkpoint that wants it says so in its meta: `"beginnings": [64]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import artifacts

FloatArray = NDArray[np.float32]

KEY = "beginnings"


def wanted(folder: Path) -> tuple[int, ...]:
    """Tokens of each beginning the weights in `folder` want read, special ones included; () for other weights."""
    try:
        return tuple(int(tokens) for tokens in artifacts.read_meta(folder).get(KEY, ()))
    except artifacts.Damaged:
        return ()  # weights of others have no such file


def cut(tokenizer: Any, texts: Sequence[str], tokens: int) -> list[str]:
    """The first `tokens` tokens of each text, special ones included; a text that has no more stays as it is.

    A tokeniser that does not tell where its tokens lie in the text is cut by words.
    """
    if not getattr(tokenizer, "is_fast", False):
        return [" ".join(text.split()[:tokens]) for text in texts]
    read = tokenizer(list(texts), truncation=True, max_length=tokens, return_offsets_mapping=True, verbose=False)
    ends = [max((end for _start, end in offsets), default=0) for offsets in read["offset_mapping"]]
    return [text if end >= len(text.rstrip()) else text[:end] for text, end in zip(texts, ends, strict=True)]


def mean(
    texts: Sequence[str], counts: Sequence[int], tokenizer: Any, encode: Callable[[list[str]], FloatArray]
) -> FloatArray:
    """(n, dim) vectors of length 1: the mean of what `encode` makes of each text and of its beginnings.

    encode: n texts → (n, dim) of any length; every reading counts alike. A text no longer than a beginning is read
    once. No texts: (0, dim).
    """
    whole = normalised(encode(list(texts)))
    total = whole.copy()
    for tokens in counts if texts else ():
        begun = cut(tokenizer, texts, tokens)
        longer = [at for at, text in enumerate(texts) if begun[at] != text]
        part = whole.copy()
        if longer:
            part[longer] = normalised(encode([begun[at] for at in longer]))
        total += part
    return normalised(total)


def normalised(vectors: FloatArray) -> FloatArray:
    """Rows of length 1; a zero row (a text of no known word) stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
    out: FloatArray = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return out
