"""Paraphrase clusters and the leakage-safe split: queries that are paraphrases of each other go to one split.

Paraphrases on both sides of a split would let a test measure memory, so whole clusters are split. The split is a hash
of the cluster's first query: nothing has to be stored. While the data grow a query may leave the test split, because
its share falls, and none comes into it: no test query was trained on before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from curation.engine.text.similarity import normalise, text_key
from tuning.engine.data.examples import DEV, TEST, TRAIN

__all__ = ["assign_splits", "group_paraphrases", "normalise", "text_key"]  # text_key of its first query names a cluster

Floats = NDArray[np.float32]

TEST_SHARE = 0.15
# With few queries a larger share is test, or the gate could not see a gain: with σ of 0.22 a hundred test queries (with
# those held out) show a gain of 0.06 in eight of ten cases, thirty-five in one of three.
TARGET_TEST_QUERIES = 75
MAX_TEST_SHARE = 0.25
DEV_SHARE = 0.10
# Cosine. Joining two different questions only makes the split coarser, but a missed paraphrase lets a test measure
# memory: so the value is lower than the one of label propagation. With MiniLM on FeedbackQA's 8,125 questions about
# half of the pairs between 0.88 and 0.90 are paraphrases, by reading; the largest cluster has 49 questions at 0.88 (20
# at 0.90, 151 at 0.85), and from 0.83 on (648) clusters merge into one.
PARAPHRASE_COSINE = 0.88
_BLOCK_ROWS = 1024  # rows compared at once: bounds memory for any number of queries


def group_paraphrases(texts: Sequence[str], vectors: Floats, min_cosine: float = PARAPHRASE_COSINE) -> list[int]:
    """Return for each query the index of the first query of its paraphrase cluster; its own where it is alone.

    vectors: (n, dim) L2-normalised. Two queries are joined when their normalised texts are equal or their cosine is at
    least `min_cosine`, and so is everything joined to either (union–find).
    """
    parents = list(range(len(texts)))
    first_of: dict[str, int] = {}
    for index, text in enumerate(texts):
        _join(parents, first_of.setdefault(normalise(text), index), index)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS]
        is_near = block @ vectors[: start + len(block)].T >= min_cosine  # (rows, all rows up to the block's end)
        for row, other in zip(*np.nonzero(is_near), strict=True):
            _join(parents, int(other), start + int(row))
    return [_root(parents, index) for index in range(len(texts))]


def assign_splits(clusters: Iterable[str], held_out: Iterable[str] = (), seed: int = 0) -> dict[str, str]:
    """Return the split of each cluster; `held_out` ones are test.

    The test split does not depend on the seed: it stays locked while train and dev are split again. No split is
    empty where there are clusters enough: the ones nearest its border fill it.
    """
    names, locked = sorted(set(clusters)), set(held_out)
    by_test = sorted(names, key=lambda name: (name not in locked, _hash_share("test", name), name))
    share = test_share(len(names))
    test = {name for name in names if name in locked or _hash_share("test", name) < share} or set(by_test[:1])
    dev_key = {name: _hash_share(f"dev {seed}", name) for name in names if name not in test}
    rest = sorted(dev_key, key=lambda name: (dev_key[name], name))
    border = DEV_SHARE / (1 - share)
    dev = {name for name in rest if dev_key[name] < border} or set(rest[:1])
    return {name: TEST if name in test else DEV if name in dev else TRAIN for name in names}


def test_share(count: int) -> float:
    """Return the share of so many clusters that is test, besides those held out: TARGET_TEST_QUERIES, within bounds."""
    return min(MAX_TEST_SHARE, max(TEST_SHARE, TARGET_TEST_QUERIES / max(count, 1)))


def _hash_share(salt: str, name: str) -> float:
    """Return a number in [0, 1) that follows from the name."""
    digest = hashlib.sha256(f"{salt} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def _join(parents: list[int], one: int, other: int) -> None:
    """Join two clusters. The lower index stays the root, so that the oldest query names the cluster."""
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)
