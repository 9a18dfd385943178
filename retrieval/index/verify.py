"""Verify an index build before it is finished: vectors and lexical index are whole, and passages find themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common import artifacts
from retrieval.engine.indexes import bm25_index, dense_index
from retrieval.index.vector_store import vectors_folder

_SAMPLE_SIZE = 5  # passages


def verify(folder: Path, key: str, count: int, dim: int) -> None:
    """Raise Damaged unless the build in `folder` has `count` passages in both indexes and its dense index works.

    key: of the vectors, which must have `dim` dimensions. A sample of passages must be their own nearest neighbours.
    """
    matrix = dense_index.load(vectors_folder(key))
    if matrix.shape != (count, dim):
        raise artifacts.Damaged(f"{vectors_folder(key)} has the shape {matrix.shape}")
    lexical = bm25_index.LexicalIndex.load(folder / "lexical")
    if len(lexical) != count:
        raise artifacts.Damaged(f"{folder} indexes {len(lexical)} of {count} passages")
    sample = np.linspace(0, len(matrix) - 1, min(_SAMPLE_SIZE, len(matrix))).astype(int)
    lengths = np.linalg.norm(matrix[sample], axis=1)
    scores, _rows = dense_index.nearest(np.ascontiguousarray(matrix[sample]), matrix, 1)
    if not np.allclose(scores[:, 0], lengths**2, atol=1e-3):
        raise artifacts.Damaged(f"{vectors_folder(key)}: a passage does not find itself")
