"""Slices of the test split that are measured separately, because a mean over all queries hides them.

Paraphrases never lie on both sides of a split, so every test query is in a cluster that was not in training. The
slices differ in the distance to the nearest training query, and in whether a relevant passage was trained on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curation.engine.statistics.relevance import is_relevant
from tuning.engine.data.examples import TEST, TRAIN, JudgedQuery

FAR_SHARE = 1 / 3
_SCRIPTS = {  # the first that matches: Japanese and Korean are written with Chinese characters too
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"),
    "cyrillic": re.compile(r"[\u0400-\u04ff]"),
    "arabic": re.compile(r"[\u0600-\u06ff]"),
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f]"),
}

Slices = dict[str, set[str]]  # name → ids of test queries


def slice_test_split(rows: Iterable[JudgedQuery], cosines: Mapping[str, float] | None = None) -> Slices:
    """Return the slices of the test split; only those that are neither empty nor the whole split.

    cosines: query_id → cosine to the nearest training query.

    seen, unseen:             a relevant passage of the query is relevant to a training query too, or none is.
    near, far:                the third with the lowest cosine is far; left out without `cosines`.
    rare, frequent:           without or with paraphrases among all rows of the dataset.
    answerable, unanswerable: as people judged it.
    latin, zh, ja, …:         by script, the only sign of the language that is never missing.
    """
    all_rows = list(rows)
    test = [row for row in all_rows if row.split == TEST]
    trained_passages = {passage for row in all_rows if row.split == TRAIN for passage in relevant_passages(row)}
    cluster_sizes = Counter(row.cluster for row in all_rows)
    slices: Slices = {}
    for row in test:
        names = [
            "seen" if trained_passages & relevant_passages(row) else "unseen",
            "unanswerable" if row.is_unanswerable else "answerable",
            "frequent" if row.cluster and cluster_sizes[row.cluster] > 1 else "rare",
            script(row.text),
        ]
        for name in names:
            slices.setdefault(name, set()).add(row.query_id)
    slices |= _by_distance([row.query_id for row in test], cosines or {})
    slices.pop("", None)
    return {name: ids for name, ids in slices.items() if 0 < len(ids) < len(test)}


def relevant_passages(row: JudgedQuery) -> set[str]:
    """Return the ids of the passages judged relevant."""
    return {passage for passage, grade in row.grades.items() if is_relevant(grade)}


def script(text: str) -> str:
    """Return the name of the script of a text; empty when it has none of the known ones."""
    return next((name for name, letters in _SCRIPTS.items() if letters.search(text)), "")


def nearest_cosines(test: NDArray[np.float32], train: NDArray[np.float32]) -> list[float]:
    """Return for each test vector the cosine to the nearest training vector; −1 when there is none.

    test: (n, dim), train: (m, dim), rows of length 1.
    """
    if not len(train):
        return [-1.0] * len(test)
    return [float((row @ train.T).max()) for row in test]


def _by_distance(ids: Sequence[str], cosines: Mapping[str, float]) -> Slices:
    """Return the far third, ties by id, and the rest; {} where the cosine of a query is missing."""
    if not ids or any(query_id not in cosines for query_id in ids):
        return {}
    order = sorted(ids, key=lambda query_id: (cosines[query_id], query_id))
    far = set(order[: round(len(order) * FAR_SHARE)])
    return {"far": far, "near": set(order) - far}
