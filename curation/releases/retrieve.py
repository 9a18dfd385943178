"""Retrieval of a release: the one way to search as it does, for people, pages and evaluations."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from curation.models import Release
from retrieval.search import rerank
from retrieval.search import search as index_search
from retrieval.search.results import Hit


def search(release: Release, text: str, k: int) -> list[Hit]:
    """Return the first k passages for the text. Raises CannotSearch."""
    return search_many(release, [text], k)[0]


def search_many(
    release: Release,
    texts: Sequence[str],
    k: int,
    mode: str = "hybrid",
    on_progress: Callable[[int, int], None] | None = None,
) -> list[list[Hit]]:
    """Return the first k passages for each text, in their order.

    mode: hybrid, or one of its stages alone. Raises CannotSearch.
    """
    return index_search.search_many(
        release.build, texts, k, mode, release.fusion_weight, rerank_stage(release), on_progress=on_progress
    )


def without_reranker(release: Release) -> Release:
    """Return a copy of the release without its reranker. It must not be saved."""
    plain = copy.copy(release)
    plain.reranker = None
    return plain


def rerank_stage(release: Release) -> rerank.Stage | None:
    """Return the release's reranking stage; None where the hybrid ranking is final."""
    if release.reranker is None:
        return None
    return rerank.Stage(release.reranker, release.rerank_depth, release.rerank_share)
