"""Lead pooling: a passage's vector as the mean of two embeddings, of its lead (first tokens) and of the whole text.

In the vector of a long passage, a mean over its tokens, the body outweighs the title and the first lines that say what
the passage is about. The lead embedded by itself gives them more weight, for the price of one more short text when a
passage is embedded, and none at search. A checkpoint that uses it says so in its meta.json: `"lead_tokens": [64]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import artifacts
from common.renamed_keys import with_current_keys

FloatArray = NDArray[np.float32]

META_KEY = "lead_tokens"


def lead_tokens(folder: Path) -> tuple[int, ...]:
    """Return the lengths of the leads that the weights in `folder` embed, in tokens; () for other weights.

    Special tokens are counted in. Checkpoints of earlier versions are read under their old key.
    """
    try:
        meta = with_current_keys("encoder meta", artifacts.read_meta(folder))
    except artifacts.Damaged:
        return ()  # weights from elsewhere have no meta.json
    return tuple(int(tokens) for tokens in meta.get(META_KEY, ()))


def truncate(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[str]:
    """Return the first `max_tokens` tokens of each text, special tokens counted in; shorter texts are unchanged.

    Without a fast tokenizer, which gives offsets, these are the first `max_tokens` words.
    """
    if not getattr(tokenizer, "is_fast", False):
        return [" ".join(text.split()[:max_tokens]) for text in texts]
    encoding = tokenizer(
        list(texts), truncation=True, max_length=max_tokens, return_offsets_mapping=True, verbose=False
    )
    ends = [max((end for _start, end in offsets), default=0) for offsets in encoding["offset_mapping"]]
    return [text if end >= len(text.rstrip()) else text[:end] for text, end in zip(texts, ends, strict=True)]


def embed(
    texts: Sequence[str], lead_lengths: Sequence[int], tokenizer: Any, encode: Callable[[list[str]], FloatArray]
) -> FloatArray:
    """Return (n, dim) vectors of length 1: the mean of the embeddings of each text and of its leads.

    encode: n texts → (n, dim) vectors of any length; all embeddings have the same weight. lead_lengths: in tokens.
    A text no longer than a lead is embedded once. No texts: (0, dim).
    """
    whole = normalize(encode(list(texts)))
    total = whole.copy()
    for max_tokens in lead_lengths if texts else ():
        leads = truncate(tokenizer, texts, max_tokens)
        longer = [row for row, text in enumerate(texts) if leads[row] != text]
        lead_vectors = whole.copy()
        if longer:
            lead_vectors[longer] = normalize(encode([leads[row] for row in longer]))
        total += lead_vectors
    return normalize(total)


def normalize(vectors: FloatArray) -> FloatArray:
    """Return the rows at length 1; a zero row (a text without any known word) stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
    unit: FloatArray = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
