"""Parts of a test split that are measured apart, because a mean over all of it hides them.

Paraphrases never lie on both sides of a split, so every test query is of a cluster that training has not seen.
What differs is how far away the nearest training question is, and whether a relevant passage was trained on.
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
_SCRIPTS = {  # the first that matches names it: Japanese and Korean are written with Chinese characters too
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"),
    "cyrillic": re.compile(r"[\u0400-\u04ff]"),
    "arabic": re.compile(r"[\u0600-\u06ff]"),
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f]"),
}

Slices = dict[str, set[str]]  # name → ids of test queries


def slices(rows: Iterable[JudgedQuery], nearness: Mapping[str, float] | None = None) -> Slices:
    """The parts of the test split; only those that are neither empty nor the whole of it.

    seen, unseen:             a relevant passage of the query was relevant to a training query too, or none was.
    near, far:                the third furthest from every training question, and the rest; by `nearness`,
                              query_id → cosine to the nearest one, and left out without it.
    rare, frequent:           asked once, or with paraphrases, among all rows of the dataset.
    answerable, unanswerable: what people said of it.
    latin, zh, ja, …:         by script, the only language mark that is never missing.
    """
    known = list(rows)
    test = [row for row in known if row.split == TEST]
    taught = {passage for row in known if row.split == TRAIN for passage in relevant(row)}
    asked = Counter(row.cluster for row in known)
    found: Slices = {}
    for row in test:
        names = [
            "seen" if taught & relevant(row) else "unseen",
            "unanswerable" if row.is_unanswerable else "answerable",
            "frequent" if row.cluster and asked[row.cluster] > 1 else "rare",
            script(row.text),
        ]
        for name in names:
            found.setdefault(name, set()).add(row.query_id)
    found |= _by_distance([row.query_id for row in test], nearness or {})
    found.pop("", None)
    return {name: ids for name, ids in found.items() if 0 < len(ids) < len(test)}


def relevant(row: JudgedQuery) -> set[str]:
    """The passages graded as relevant."""
    return {passage for passage, grade in row.grades.items() if is_relevant(grade)}


def script(text: str) -> str:
    """The script a text is written in; empty when it has none of the known ones."""
    return next((name for name, letters in _SCRIPTS.items() if letters.search(text)), "")


def nearness(test: NDArray[np.float32], train: NDArray[np.float32]) -> list[float]:
    """For each test vector the cosine to the nearest training vector; −1 when there is none.

    test: (n, dim), train: (m, dim), rows of length 1.
    """
    if not len(train):
        return [-1.0] * len(test)
    return [float((row @ train.T).max()) for row in test]


def _by_distance(ids: Sequence[str], near: Mapping[str, float]) -> Slices:
    """The far third, ties by id; nothing where the nearness of a query is not known."""
    if not ids or any(query_id not in near for query_id in ids):
        return {}
    order = sorted(ids, key=lambda query_id: (near[query_id], query_id))
    far = set(order[: round(len(order) * FAR_SHARE)])
    return {"far": far, "near": set(order) - far}
