"""What a release retrieves: the one way to search as it serves, whether a person asked, a page or an evaluation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from curation.models import Release
from retrieval.search import rerank
from retrieval.search import search as index_search
from retrieval.search.results import Hit


def search(release: Release, text: str, k: int) -> list[Hit]:
    """The k passages the release finds first for the text. Raises CannotSearch."""
    return search_many(release, [text], k)[0]


def search_many(
    release: Release,
    texts: Sequence[str],
    k: int,
    mode: str = "hybrid",
    on_progress: Callable[[int, int], None] | None = None,
) -> list[list[Hit]]:
    """`search` for each text, in their order; another mode than hybrid looks at one of its parts alone."""
    return index_search.search_many(
        release.build, texts, k, mode, release.fusion_weight, stage(release), on_progress=on_progress
    )


def plain(release: Release) -> Release:
    """The same release without its reranker; not to be saved."""
    found = copy.copy(release)
    found.reranker = None
    return found


def stage(release: Release) -> rerank.Stage | None:
    """The release's last stage; None where the fused order is the last word."""
    if release.reranker is None:
        return None
    return rerank.Stage(release.reranker, release.rerank_depth, release.rerank_share)
