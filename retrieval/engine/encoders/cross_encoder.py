"""A third stage: a cross-encoder reads the query and a passage together and says how well they fit.

It sees what two vectors cannot, and costs a pass through the model for every passage: so it gets the first few of
a ranking only. Its scores have no scale of their own; `reorder` mixes them with those the ranking came with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common import artifacts
from retrieval.engine.indexes.score_fusion import FloatArray, IntArray, fuse

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

KIND = "reranker"  # what the meta.json of such a checkpoint calls itself
BATCH = 16  # pairs of like length at once: a batch costs as much as its longest pair
DEFAULT_DEPTH = 20
DEFAULT_SHARE = 0.5


class NoReranker(Exception):
    """A folder that holds no reranker, or weights that cannot be loaded."""


class TextReranker:
    """The weights of one checkpoint, loaded. Safe to share between threads. Raises NoReranker."""

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        self.model = _load(folder, dtype)

    def scores(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """(n,) how well each (query, passage) fits, in their order; any real number, higher is better."""
        return predict(self.model, pairs)


def predict(model: CrossEncoder, pairs: Sequence[tuple[str, str]]) -> FloatArray:
    """(n,) the logits of the pairs, which are read in batches of like length."""
    import torch

    if not pairs:
        return np.zeros(0, np.float32)
    found = model.predict(
        list(pairs), batch_size=BATCH, show_progress_bar=False, activation_fn=torch.nn.Identity(), convert_to_numpy=True
    )
    return np.asarray(found, dtype=np.float32)


def reorder(ranked: FloatArray, crossed: FloatArray, share: float) -> tuple[IntArray, FloatArray]:
    """The places (m,) of the first m passages of a ranking in their new order, and their new scores, best first.

    ranked: (m,) their scores in the ranking, best first; crossed: (m,) the cross-encoder's. Both count as standard
    scores, the cross-encoder's with weight `share`; of equal ones the earlier stays first. The new scores lie where
    the old ones lay, between the best and the last: whoever compares them with the passages behind, or makes
    shares of them, reads them as before.
    """
    mixed = fuse(crossed, ranked, share)
    order: IntArray = np.argsort(-mixed, kind="stable").astype(np.int64)
    if not len(ranked):
        return order, ranked
    low, high = float(ranked.min()), float(ranked.max())
    spread = float(mixed.max() - mixed.min())
    if spread < 1e-6:
        return order, ranked
    scores = low + (high - low) * (mixed[order] - mixed.min()) / spread
    return order, scores.astype(np.float32)


def _load(folder: Path, dtype: str) -> CrossEncoder:
    try:
        kind = artifacts.read_meta(folder).get("kind")
    except artifacts.Damaged as error:
        raise NoReranker(f"{folder} holds no reranker: {error}") from error
    if kind != KIND:  # an encoder would load too, with a head of random numbers
        raise NoReranker(f"{folder} holds no reranker: it calls itself {kind!r}")
    import torch
    from sentence_transformers import CrossEncoder
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for each of the hundred tensors
    try:
        model: CrossEncoder = CrossEncoder(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NoReranker(f"{folder} holds no reranker: {said}") from error
    model.to(getattr(torch, dtype))
    model.eval()
    return model
