"""Cross-encoder for reranking: score the query and a passage together, in one pass through the model.

It is more accurate than a bi-encoder and costs one pass for every passage, so it gets only the first passages of a
ranking. Its scores have no fixed scale; `reorder` combines them with the scores of the ranking.
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

KIND = "reranker"  # `kind` in the meta.json of such a checkpoint
BATCH_SIZE = 16  # pairs of similar length: a batch costs as much as its longest pair
DEFAULT_DEPTH = 20
DEFAULT_SHARE = 0.5


class NoReranker(Exception):
    """The folder holds no reranker, or its weights cannot be loaded."""


class TextReranker:
    """The loaded weights of one reranker checkpoint. Thread-safe. Raises NoReranker."""

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        self.model = _load(folder, dtype)

    def scores(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """Return (n,) relevance scores of the (query, passage) pairs: any real number, higher is better."""
        return predict(self.model, pairs)


def predict(model: CrossEncoder, pairs: Sequence[tuple[str, str]]) -> FloatArray:
    """Return (n,) logits of the pairs, computed in batches of similar length."""
    import torch

    if not pairs:
        return np.zeros(0, np.float32)
    logits = model.predict(
        list(pairs),
        batch_size=BATCH_SIZE,
        show_progress_bar=False,
        activation_fn=torch.nn.Identity(),
        convert_to_numpy=True,
    )
    return np.asarray(logits, dtype=np.float32)


def reorder(ranked: FloatArray, cross_scores: FloatArray, share: float) -> tuple[IntArray, FloatArray]:
    """Return the new order of the first m passages of a ranking as positions (m,), and their new scores, best first.

    ranked: (m,) scores in the ranking, best first. cross_scores: (m,) scores of the cross-encoder. Both are
    standardised over the m passages and summed, the cross-encoder's with weight `share`; ties keep their order. The
    new scores are rescaled to the range of the old ones, so that they stay comparable with the passages below.
    """
    fused = fuse(cross_scores, ranked, share)
    order: IntArray = np.argsort(-fused, kind="stable").astype(np.int64)
    if not len(ranked):
        return order, ranked
    low, high = float(ranked.min()), float(ranked.max())
    spread = float(fused.max() - fused.min())
    if spread < 1e-6:
        return order, ranked
    scores = low + (high - low) * (fused[order] - fused.min()) / spread
    return order, scores.astype(np.float32)


def _load(folder: Path, dtype: str) -> CrossEncoder:
    try:
        kind = artifacts.read_meta(folder).get("kind")
    except artifacts.Damaged as error:
        raise NoReranker(f"{folder} holds no reranker: {error}") from error
    if kind != KIND:  # an encoder would load too, with a random head
        raise NoReranker(f"{folder} holds no reranker: its kind is {kind!r}")
    import torch
    from sentence_transformers import CrossEncoder
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for each of the hundred tensors
    try:
        model: CrossEncoder = CrossEncoder(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NoReranker(f"{folder} holds no reranker: {first_line}") from error
    model.to(getattr(torch, dtype))
    model.eval()
    return model
