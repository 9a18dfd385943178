"""Which queries are paraphrases of each other, and which split each group of them goes to.

Paraphrases on both sides of a split would let a test measure memory, so whole clusters are split. The split is
a hash of the cluster's first query: it needs no bookkeeping. While the data grows a query may leave the test split,
because its share falls, and none comes into it: what is measured on was not learned from before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from curation.engine.text.similarity import name_of, normalised
from tuning.engine.data.examples import DEV, TEST, TRAIN

__all__ = ["group", "name_of", "normalised", "split"]  # a cluster is named by its first query's text

Floats = NDArray[np.float32]

TEST_SHARE = 0.15
# Of few queries more are measured on, or the gate could not see what they gained: with σ of 0.22 a hundred (with those
# held out) show a gain of 0.06 eight times in ten, thirty-five one time in three.
TEST_QUERIES = 75
MOST_TEST_SHARE = 0.25
DEV_SHARE = 0.10
# Cosine. Joining two questions that are not the same costs nothing but a coarser deal, missing a paraphrase lets a
# test measure memory: lower than what a grade is passed on at. With MiniLM on FeedbackQA's 8,125 questions about half
# of the pairs between 0.88 and 0.90 are paraphrases, by reading; the largest cluster has 49 questions at 0.88 (20 at
# 0.90, 151 at 0.85), and from 0.83 on (648) they run together.
SAME_FROM = 0.88
_ROWS = 1024  # rows compared at once: bounds memory whatever the number of queries


def group(texts: Sequence[str], vectors: Floats, same_from: float = SAME_FROM) -> list[int]:
    """For each query the index of the first query of its cluster; itself when it stands alone.

    vectors: (n, dim) L2-normalised. Two queries are joined when their normalised texts are equal or their
    cosine is at least `same_from`, and so is everything joined to either (union–find).
    """
    parents = list(range(len(texts)))
    first_of: dict[str, int] = {}
    for index, text in enumerate(texts):
        _join(parents, first_of.setdefault(normalised(text), index), index)
    for start in range(0, len(vectors), _ROWS):
        block = vectors[start : start + _ROWS]
        near = block @ vectors[: start + len(block)].T >= same_from  # (rows, everything up to the block's end)
        for row, other in zip(*np.nonzero(near), strict=True):
            _join(parents, int(other), start + int(row))
    return [_root(parents, index) for index in range(len(texts))]


def split(clusters: Iterable[str], held_out: Iterable[str] = (), seed: int = 0) -> dict[str, str]:
    """The split of each cluster; `held_out` ones are test.

    The test split does not depend on the seed: it stays locked while train and dev are dealt anew. No split is
    left empty where there are clusters enough: the ones nearest its border fill it.
    """
    names, locked = sorted(set(clusters)), set(held_out)
    by_test = sorted(names, key=lambda name: (name not in locked, _share("test", name), name))
    tested = test_share(len(names))
    test = {name for name in names if name in locked or _share("test", name) < tested} or set(by_test[:1])
    rest = sorted((name for name in names if name not in test), key=lambda name: (_share(f"dev {seed}", name), name))
    border = DEV_SHARE / (1 - tested)
    dev = {name for name in rest if _share(f"dev {seed}", name) < border} or set(rest[:1])
    return {name: TEST if name in test else DEV if name in dev else TRAIN for name in names}


def test_share(count: int) -> float:
    """The share of so many clusters that is test, besides those held out: TEST_QUERIES, within bounds."""
    return min(MOST_TEST_SHARE, max(TEST_SHARE, TEST_QUERIES / max(count, 1)))


def _share(salt: str, name: str) -> float:
    """A number in [0, 1) that belongs to the name."""
    digest = hashlib.sha256(f"{salt} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def _join(parents: list[int], one: int, other: int) -> None:
    """The lower index stays the root, so that the oldest query names the cluster."""
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)
