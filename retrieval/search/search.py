"""Search: rank the passages of one index build for a text, by dense, lexical or hybrid search.

An index build is a snapshot: it finds the passages that were active when it was made. Each process keeps the builds
used last open (an LRU cache). A search in an open build never waits while another build is being opened, and a build
that several threads need at once is opened once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from cachetools import LRUCache, cached
from django.conf import settings

from common import artifacts
from common.messages import message
from retrieval.engine.encoders.bi_encoder import NoEncoder, TextEncoder
from retrieval.engine.encoders.cross_encoder import NoReranker
from retrieval.engine.indexes import dense_index, score_fusion
from retrieval.engine.indexes.bm25_index import LexicalIndex
from retrieval.engine.indexes.dense_index import FloatArray, IntArray
from retrieval.index import encoders, vector_store
from retrieval.models import Encoder, IndexBuild
from retrieval.search import rerank
from retrieval.search.results import Hit

Mode = Literal["dense", "lexical", "hybrid"]
MODES: tuple[str, ...] = get_args(Mode)

_DEPTH = 100  # of the dense and the lexical ranking before fusion
_BATCH_SIZE = 256  # queries: bounds the memory of a batch
_RERANK_BATCH_SIZE = 16  # queries, with a reranker: bounds the time between two progress reports
_MAX_OPEN_BUILDS = 4


class CannotSearch(Exception):
    """The build is unfinished or retired, or its files (or the reranker's) are missing or damaged."""


@dataclass(frozen=True)
class Candidates:
    """Candidates for score fusion of one query: passages of either ranking, each with both scores."""

    ids: IntArray
    dense: FloatArray
    lexical: FloatArray


def search(
    build: IndexBuild,
    text: str,
    k: int = 10,
    mode: str = "hybrid",
    weight: float = score_fusion.DEFAULT_WEIGHT,
    stage: rerank.Stage | None = None,
) -> list[Hit]:
    """Return the k best passages for the text, best first; fewer when there are fewer candidates.

    mode: dense ranks by inner product; lexical by BM25, only passages that share a term; hybrid by score fusion, with
    `weight` for the dense score. stage: reranks the top of a hybrid ranking. Ties rank by passage id. Blank text finds
    nothing. Raises CannotSearch; ValueError for an unknown mode.
    """
    return search_many(build, [text], k, mode, weight, stage)[0]


def search_many(
    build: IndexBuild,
    texts: Sequence[str],
    k: int = 10,
    mode: str = "hybrid",
    weight: float = score_fusion.DEFAULT_WEIGHT,
    stage: rerank.Stage | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[list[Hit]]:
    """Search for each text, in order, with one embedding and one matrix product per batch; see `search`."""
    if mode not in MODES:
        raise ValueError(f"no mode {mode!r}: {', '.join(MODES)}")
    opened = open_build(build)
    rerank_stage = stage if mode == "hybrid" and k > 0 else None
    depth = max(k, rerank_stage.depth if rerank_stage else 0, 0)
    batch_size = _RERANK_BATCH_SIZE if rerank_stage else _BATCH_SIZE
    rankings: list[list[Hit]] = []
    for start in range(0, len(texts), batch_size):
        batch = texts[start : start + batch_size]
        ranked = opened.search(batch, depth, mode, weight)
        rankings += [hits[:k] for hits in _reranked(rerank_stage, batch, ranked)] if rerank_stage else ranked
        if on_progress:
            on_progress(len(rankings), len(texts))
    return rankings


def candidates(build: IndexBuild, texts: Sequence[str], depth: int = _DEPTH) -> list[Candidates]:
    """Return the candidates of hybrid search for each text: the union of the `depth` best dense and lexical hits."""
    opened = open_build(build)
    batches = (texts[start : start + _BATCH_SIZE] for start in range(0, len(texts), _BATCH_SIZE))
    return [of_text for batch in batches for of_text in opened.candidates(batch, depth)]


class OpenBuild:
    """The open files of a build. ids: (n,) passage ids by row; matrix: (n, dim) vectors, memory-mapped."""

    def __init__(self, build: IndexBuild) -> None:
        folder = Path(settings.DATA_DIR) / build.path
        meta = artifacts.read_meta(folder)
        try:
            self.ids: IntArray = np.load(folder / "passages.npy")
        except (OSError, ValueError, EOFError) as error:
            raise artifacts.Damaged(f"{folder} holds no readable passage ids") from error
        self.matrix = dense_index.load(vector_store.vectors_folder(str(meta.get("vectors"))))
        self.lexical = LexicalIndex.load(folder / "lexical")
        if not len(self.ids) == len(self.matrix) == len(self.lexical):
            raise artifacts.Damaged(f"{folder}: {len(self.ids)} ids, {len(self.matrix)} vectors")
        self._encoder_row = build.encoder

    @property
    def encoder(self) -> TextEncoder:
        """The query encoder, shared by the builds that use the same one; loaded at its first use."""
        return query_encoder(self._encoder_row)

    def search(self, texts: Sequence[str], k: int, mode: str, weight: float) -> list[list[Hit]]:
        """Rank the passages for each text; see the function `search`."""
        if mode == "lexical":
            return [self._hits(*self.lexical.best(self.lexical.scores(text), k)) for text in texts]
        if mode == "dense":
            scores, rows = dense_index.nearest(self.encoder.encode_queries(texts), self.matrix, k)
            rankings = [self._hits(*pair) for pair in zip(scores, rows, strict=True)]
        else:
            rankings = [self._fused(of_text, k, weight) for of_text in self.candidates(texts, max(_DEPTH, k))]
        return [hits if text.strip() else [] for text, hits in zip(texts, rankings, strict=True)]

    def candidates(self, texts: Sequence[str], depth: int) -> list[Candidates]:
        """Return the candidates of each text; see the function `candidates`."""
        queries = self.encoder.encode_queries(texts)
        _scores, dense_rows = dense_index.nearest(queries, self.matrix, depth)
        out = []
        for text, query, nearest_rows in zip(texts, queries, dense_rows, strict=True):
            bm25 = self.lexical.scores(text)
            rows = np.union1d(nearest_rows, self.lexical.best(bm25, depth)[1])
            dense = np.round(self.matrix[rows] @ query, 6)
            out.append(Candidates(self.ids[rows], dense, bm25[rows]))
        return out

    def _fused(self, of_text: Candidates, k: int, weight: float) -> list[Hit]:
        scores = score_fusion.fuse(of_text.dense, of_text.lexical, weight)
        best, rows = dense_index.top_k(scores, min(k, len(scores)))
        return _ranked(best, of_text.ids[rows])

    def _hits(self, scores: FloatArray, rows: IntArray) -> list[Hit]:
        return _ranked(scores, self.ids[rows])


def open_build(build: IndexBuild) -> OpenBuild:
    """Return the open build, from the cache when it is there. Raises CannotSearch."""
    if not build.sha256:
        raise CannotSearch(message("build_unfinished", build=str(build)))
    if build.retired_at:
        raise CannotSearch(message("build_retired", build=str(build)))
    try:
        return _open(build)
    except artifacts.Damaged as error:
        raise CannotSearch(str(error)) from error


def close_all() -> None:
    """Clear the caches of open builds, encoders and rerankers; running searches keep what they use."""
    _open.cache_clear()
    query_encoder.cache_clear()
    rerank.close_all()


@cached(LRUCache(_MAX_OPEN_BUILDS), key=lambda build: (build.pk, build.sha256), condition=threading.Condition())
def _open(build: IndexBuild) -> OpenBuild:
    return OpenBuild(build)


@cached(LRUCache(_MAX_OPEN_BUILDS), key=lambda row: (row.query_hash, row.query_prefix), condition=threading.Condition())
def query_encoder(row: Encoder) -> TextEncoder:
    """Load the encoder for queries, in float32: a query is short, and its vector must not depend on the machine."""
    try:
        query_path, passage_path = encoders.weight_folders(row)
    except NoEncoder as error:
        raise CannotSearch(str(error)) from error
    return TextEncoder(query_path, passage_path, row.query_prefix, row.passage_prefix)


def _reranked(stage: rerank.Stage, texts: Sequence[str], rankings: list[list[Hit]]) -> list[list[Hit]]:
    try:
        return rerank.apply(stage, texts, rankings)
    except NoReranker as error:
        raise CannotSearch(str(error)) from error


def _ranked(scores: FloatArray, ids: IntArray) -> list[Hit]:
    pairs = zip(ids.tolist(), scores.tolist(), strict=True)
    return [Hit(passage_id, rank, score) for rank, (passage_id, score) in enumerate(pairs, start=1)]
