"""One matrix of passage vectors on disk, searched exactly.

The matrix is memory-mapped, so that processes and builds share its pages, and FAISS searches it in place:
exact to about a million passages, with nothing to train and no second copy of the vectors inside an index.
Row numbers are positions in the matrix; who a row is, the build says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common import artifacts

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SHARD = 512  # passages: what a kill costs at most, and enough for batches of like length
_MATRIX = "vectors.npy"
_SPARE = 16


def embed_in_shards(
    folder: Path,
    encode: Callable[[list[str]], FloatArray],
    texts: list[str],
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Every shard of the texts' vectors in `folder`. Shards found there are kept: a restart goes on from them.

    The folder must belong to these texts and this encoder alone. on_progress(done, total) after each shard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(texts), SHARD)):
        path = _shard_path(folder, number)
        batch = texts[start : start + SHARD]
        if not path.exists():
            vectors = encode(batch)
            artifacts.write_file(path, lambda part, vectors=vectors: _save(part, vectors))  # type: ignore[misc]
        if on_progress:
            on_progress(start + len(batch), len(texts))


def join_shards(folder: Path, target: Path, count: int, dim: int, meta: dict[str, Any]) -> str:
    """The hash of `target`, a new folder with the matrix of all shards in their order.

    Raises Damaged when the shards are not `count` vectors of `dim` finite numbers, FileExistsError when the
    target is there.
    """

    def fill(part: Path) -> None:
        matrix = np.lib.format.open_memmap(part / _MATRIX, mode="w+", dtype=np.float32, shape=(count, dim))
        at = 0
        for number in range(-(-count // SHARD)):
            shard = _loaded(_shard_path(folder, number))
            if shard.ndim != 2 or shard.shape[1] != dim or at + len(shard) > count or not np.isfinite(shard).all():
                raise artifacts.Damaged(f"{_shard_path(folder, number)} holds no vectors of {dim} finite numbers")
            matrix[at : at + len(shard)] = shard
            at += len(shard)
        if at != count:
            raise artifacts.Damaged(f"{folder} holds {at} vectors instead of {count}")
        matrix.flush()

    return artifacts.write_folder(target, fill, meta | {"count": count, "dim": dim})


def load(folder: Path) -> FloatArray:
    """The (n, dim) matrix, memory-mapped and read-only; raises Damaged when it is not there or not whole."""
    return _loaded(folder / _MATRIX, "r")


def nearest(queries: FloatArray, matrix: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    """(q, m) inner products and rows of the m = min(k, n) best, best first; equal ones by row.

    queries: (q, dim). Products are rounded to six places before they are compared: a product's last bits
    depend on how the matrices were blocked, and twins must not change places with the size of a batch.
    """
    import faiss

    n = len(matrix)
    k = min(k, n)
    if k <= 0 or not len(queries):
        return np.zeros((len(queries), max(k, 0)), np.float32), np.zeros((len(queries), max(k, 0)), np.int64)
    taken = min(n, k + _SPARE)
    scores, rows = faiss.knn(queries, matrix, taken, metric=faiss.METRIC_INNER_PRODUCT)
    scores = np.round(scores, 6)
    order = np.lexsort((rows, -scores))[:, :k]
    best, best_rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
    # As many twins of the last one as there was room to see: some may have been left out.
    for q in np.flatnonzero(scores.min(axis=1) == best[:, -1]) if taken < n else []:
        best[q], best_rows[q] = top(np.round(matrix @ queries[q], 6), k)
    return best, best_rows


def top(scores: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    """The k best of (n,) scores with their rows, best first; equal ones by row. k ≤ n."""
    if k < len(scores):
        least = np.partition(scores, -k)[-k]
        rows = np.flatnonzero(scores >= least)
    else:
        rows = np.arange(len(scores))
    rows = rows[np.lexsort((rows, -scores[rows]))][:k].astype(np.int64)
    return scores[rows], rows


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npy"


def _loaded(path: Path, mmap_mode: Literal["r"] | None = None) -> FloatArray:
    try:
        array: FloatArray = np.load(path, mmap_mode=mmap_mode)
    except (OSError, ValueError, EOFError) as error:
        raise artifacts.Damaged(f"{path} holds no readable vectors") from error
    return array


def _save(path: Path, vectors: FloatArray) -> None:
    with path.open("wb") as stream:
        np.save(stream, vectors)
