"""The last stage of a search, where there is one: the first of a ranking in the order a cross-encoder gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from django.conf import settings

from common.cache import Kept
from retrieval.engine import hardware
from retrieval.engine.encoders.cross_encoder import DEFAULT_DEPTH, DEFAULT_SHARE, TextReranker, reorder
from retrieval.models import Passage, Reranker
from retrieval.search.results import Hit

_loaded: Kept[TextReranker] = Kept(2)


@dataclass(frozen=True)
class Stage:
    """A reranker, how many passages it gets of each ranking, and how much its word counts beside theirs, 0 to 1."""

    reranker: Reranker
    depth: int = DEFAULT_DEPTH
    share: float = DEFAULT_SHARE


def folder(row: Reranker) -> Path:
    """Where its weights are on this machine."""
    return Path(settings.DATA_DIR) / row.path


def apply(stage: Stage, texts: Sequence[str], rankings: Sequence[list[Hit]]) -> list[list[Hit]]:
    """The rankings with their first `depth` passages reordered; what stands behind them stays. Raises NoReranker."""
    heads = [hits[: stage.depth] for hits in rankings]
    wanted = {hit.passage_id for hits in heads for hit in hits}
    passages = Passage.objects.in_bulk(wanted)
    pairs = [
        (text, passages[hit.passage_id].full_text) for text, hits in zip(texts, heads, strict=True) for hit in hits
    ]
    crossed = _weights(stage.reranker).scores(pairs)
    parts = np.split(crossed, np.cumsum([len(hits) for hits in heads])[:-1]) if heads else []
    return [
        _reordered(hits, scores, stage.share) + ranked[len(hits) :]
        for hits, scores, ranked in zip(heads, parts, rankings, strict=True)
    ]


def close_all() -> None:
    """Forget the loaded weights."""
    _loaded.clear()


def _reordered(hits: list[Hit], crossed: np.ndarray, share: float) -> list[Hit]:
    order, scores = reorder(np.array([hit.score for hit in hits], np.float32), crossed, share)
    places = zip(order.tolist(), scores.tolist(), strict=True)
    return [replace(hits[place], rank=rank, score=score) for rank, (place, score) in enumerate(places, start=1)]


def _weights(row: Reranker) -> TextReranker:
    """In the format this machine multiplies faster: here every millisecond is somebody's."""
    return _loaded.get(
        row.sha256,
        lambda: TextReranker(folder(row), hardware.fast_dtype(Path(settings.DATA_DIR) / "compute.json")),
    )
