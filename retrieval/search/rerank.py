"""Reranking: reorder the top passages of a ranking with a cross-encoder, as an optional last stage of a search."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cachetools import LRUCache, cached
from django.conf import settings

from retrieval.engine import hardware
from retrieval.engine.encoders.cross_encoder import DEFAULT_DEPTH, DEFAULT_SHARE, TextReranker, reorder
from retrieval.engine.indexes.dense_index import FloatArray
from retrieval.models import Passage, Reranker
from retrieval.search.results import Hit

_MAX_LOADED = 2


@dataclass(frozen=True)
class Stage:
    """A reranker, the number of passages it scores of each ranking, and the weight of its scores, 0 to 1."""

    reranker: Reranker
    depth: int = DEFAULT_DEPTH
    share: float = DEFAULT_SHARE


def folder(row: Reranker) -> Path:
    """Return the folder of the weights on this machine."""
    return Path(settings.DATA_DIR) / row.path


def apply(stage: Stage, texts: Sequence[str], rankings: Sequence[list[Hit]]) -> list[list[Hit]]:
    """Return the rankings with their first `depth` passages reordered; the others stay. Raises NoReranker."""
    heads = [hits[: stage.depth] for hits in rankings]
    passages = Passage.objects.in_bulk({hit.passage_id for hits in heads for hit in hits})
    pairs = [
        (text, passages[hit.passage_id].full_text) for text, hits in zip(texts, heads, strict=True) for hit in hits
    ]
    pair_scores = _load(stage.reranker).scores(pairs)
    scores_by_ranking = np.split(pair_scores, np.cumsum([len(hits) for hits in heads])[:-1]) if heads else []
    return [
        _reordered(hits, scores, stage.share) + ranked[len(hits) :]
        for hits, scores, ranked in zip(heads, scores_by_ranking, rankings, strict=True)
    ]


def close_all() -> None:
    """Clear the cache of loaded weights."""
    _load.cache_clear()


def _reordered(hits: list[Hit], cross_scores: FloatArray, share: float) -> list[Hit]:
    order, scores = reorder(np.array([hit.score for hit in hits], np.float32), cross_scores, share)
    positions = zip(order.tolist(), scores.tolist(), strict=True)
    return [replace(hits[at], rank=rank, score=score) for rank, (at, score) in enumerate(positions, start=1)]


@cached(LRUCache(_MAX_LOADED), key=lambda row: row.sha256, condition=threading.Condition())
def _load(row: Reranker) -> TextReranker:
    """Load the weights in the number format that is fast here, because reranking adds to the response time."""
    return TextReranker(folder(row), hardware.fast_dtype(Path(settings.DATA_DIR) / "compute.json"))
