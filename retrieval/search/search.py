"""Text → ranked passages, from one build.

A build is a snapshot: it finds the passages that were active when it was made, until the next build. The few
builds last asked for stay open in each process. Opening one happens beside the others: a search in a build
that is open never waits for a build that is being opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from django.conf import settings

from common import artifacts
from common.cache import Kept
from common.messages import message
from retrieval.engine.encoders.bi_encoder import NoEncoder, TextEncoder
from retrieval.engine.encoders.cross_encoder import NoReranker
from retrieval.engine.indexes import dense_index, score_fusion
from retrieval.engine.indexes.bm25_index import LexicalIndex
from retrieval.engine.indexes.dense_index import FloatArray, IntArray
from retrieval.index import index_builds
from retrieval.models import Encoder, IndexBuild
from retrieval.search import rerank
from retrieval.search.results import Hit

Mode = Literal["dense", "lexical", "hybrid"]
MODES: tuple[str, ...] = get_args(Mode)

_DEPTH = 100  # of each list before they are fused
_BATCH = 256  # queries: bounds the memory of a batch
_RERANKED = 16  # the same where a reranker reads with: bounds the time between two words of progress
_OPEN_BUILDS = 4


class CannotSearch(Exception):
    """The build is not finished, was retired, or its files (or the reranker's) are gone or damaged."""


@dataclass(frozen=True)
class Candidates:
    """What fusion looks at for one query: passages found either way, each with both scores."""

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
    """The k best passages for the text, best first; fewer when the corpus, or the words found, give fewer.

    dense ranks by inner product, lexical by BM25 (only passages that share a word), hybrid by both, weight
    being the dense share; stage reorders the first of a hybrid ranking. Equal scores rank by passage id.
    Raises CannotSearch; ValueError for a mode there is not.
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
    """`search` for each text, in their order, with one encoding and one matrix product a batch."""
    if mode not in MODES:
        raise ValueError(f"no mode {mode!r}: {', '.join(MODES)}")
    opened = open_build(build)
    last = stage if mode == "hybrid" and k > 0 else None
    size = _RERANKED if last else _BATCH
    found: list[list[Hit]] = []
    for start in range(0, len(texts), size):
        batch = texts[start : start + size]
        some = opened.search(batch, max(k, last.depth if last else 0, 0), mode, weight)
        found += [hits[:k] for hits in _reranked(last, batch, some)] if last else some
        if on_progress:
            on_progress(len(found), len(texts))
    return found


def candidates(build: IndexBuild, texts: Sequence[str], depth: int = _DEPTH) -> list[Candidates]:
    """What hybrid search would fuse for each text: the union of the `depth` best of either way."""
    opened = open_build(build)
    batches = (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))
    return [found for batch in batches for found in opened.candidates(batch, depth)]


class OpenBuild:
    """A build's files, open. ids: (n,) passage ids by row; matrix: (n, dim) vectors, memory-mapped."""

    def __init__(self, build: IndexBuild) -> None:
        folder = Path(settings.DATA_DIR) / build.path
        meta = artifacts.read_meta(folder)
        try:
            self.ids: IntArray = np.load(folder / "passages.npy")
        except (OSError, ValueError, EOFError) as error:
            raise artifacts.Damaged(f"{folder} holds no readable passage ids") from error
        self.matrix = dense_index.load(index_builds.vectors_folder(str(meta.get("vectors"))))
        self.lexical = LexicalIndex.load(folder / "lexical")
        if not len(self.ids) == len(self.matrix) == len(self.lexical):
            raise artifacts.Damaged(f"{folder}: {len(self.ids)} ids, {len(self.matrix)} vectors")
        self._encoder_row = build.encoder

    @property
    def encoder(self) -> TextEncoder:
        """The query side, shared by the builds that have the same one; loaded when first used."""
        return query_encoder(self._encoder_row)

    def search(self, texts: Sequence[str], k: int, mode: str, weight: float) -> list[list[Hit]]:
        """See the module's `search`."""
        if mode == "lexical":
            return [self._hits(*self.lexical.best(self.lexical.scores(text), k)) for text in texts]
        if mode == "dense":
            scores, rows = dense_index.nearest(self.encoder.encode_queries(texts), self.matrix, k)
            found = [self._hits(*pair) for pair in zip(scores, rows, strict=True)]
        else:
            found = [self._fused(one, k, weight) for one in self.candidates(texts, max(_DEPTH, k))]
        return [hits if text.strip() else [] for text, hits in zip(texts, found, strict=True)]

    def candidates(self, texts: Sequence[str], depth: int) -> list[Candidates]:
        """See the module's `candidates`."""
        queries = self.encoder.encode_queries(texts)
        _scores, dense_rows = dense_index.nearest(queries, self.matrix, depth)
        out = []
        for text, query, near in zip(texts, queries, dense_rows, strict=True):
            by_word = self.lexical.scores(text)
            rows = np.union1d(near, self.lexical.best(by_word, depth)[1])
            dense = np.round(self.matrix[rows] @ query, 6)
            out.append(Candidates(self.ids[rows], dense, by_word[rows]))
        return out

    def _fused(self, found: Candidates, k: int, weight: float) -> list[Hit]:
        scores = score_fusion.fuse(found.dense, found.lexical, weight)
        best, rows = dense_index.top(scores, min(k, len(scores)))
        return _numbered(best, found.ids[rows])

    def _hits(self, scores: FloatArray, rows: IntArray) -> list[Hit]:
        return _numbered(scores, self.ids[rows])


def open_build(build: IndexBuild) -> OpenBuild:
    """The build, open; from this process's few last ones when it is there. Raises CannotSearch."""
    if not build.sha256:
        raise CannotSearch(message("build_unfinished", build=str(build)))
    if build.retired_at:
        raise CannotSearch(message("build_retired", build=str(build)))
    try:
        return _open_builds.get((build.pk, build.sha256), lambda: OpenBuild(build))
    except artifacts.Damaged as error:
        raise CannotSearch(str(error)) from error


def close_all() -> None:
    """Forget every open build, encoder and reranker: their memory comes back when the last search has ended."""
    _open_builds.clear()
    _encoders.clear()
    rerank.close_all()


_open_builds: Kept[OpenBuild] = Kept(_OPEN_BUILDS)
_encoders: Kept[TextEncoder] = Kept(_OPEN_BUILDS)


def query_encoder(row: Encoder) -> TextEncoder:
    """float32: a query is short, and its vector must not depend on the machine's fast format."""

    def load() -> TextEncoder:
        try:
            query_path, passage_path = index_builds.weights(row)
        except NoEncoder as error:
            raise CannotSearch(str(error)) from error
        return TextEncoder(query_path, passage_path, row.query_prefix, row.passage_prefix)

    return _encoders.get((row.query_hash, row.query_prefix), load)


def _reranked(stage: rerank.Stage, texts: Sequence[str], rankings: list[list[Hit]]) -> list[list[Hit]]:
    try:
        return rerank.apply(stage, texts, rankings)
    except NoReranker as error:
        raise CannotSearch(str(error)) from error


def _numbered(scores: FloatArray, ids: IntArray) -> list[Hit]:
    pairs = zip(ids.tolist(), scores.tolist(), strict=True)
    return [Hit(passage_id, rank, score) for rank, (passage_id, score) in enumerate(pairs, start=1)]
