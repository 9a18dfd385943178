"""Dense index: a flat (exact) index, one matrix of passage vectors on disk.

The matrix is memory-mapped, so that processes and index builds share its pages, and FAISS searches it in place. Exact
search is fast enough to about a million passages; it needs no training and no second copy of the vectors. Row numbers
are positions in the matrix; the index build maps them to passages.
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

SHARD_SIZE = 512  # passages: the most that a killed worker loses, and enough for batches of similar length
_MATRIX = "vectors.npy"
_SPARE = 16  # candidates beyond k, so that ties at place k are seen


def embed_in_shards(
    folder: Path,
    encode: Callable[[list[str]], FloatArray],
    texts: list[str],
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Embed the texts and write their vectors to `folder` in shards. Existing shards are kept, so this can resume.

    The folder must belong to these texts and this encoder alone. on_progress(done, total) is called after each shard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(texts), SHARD_SIZE)):
        path = _shard_path(folder, number)
        batch = texts[start : start + SHARD_SIZE]
        if not path.exists():
            vectors = encode(batch)
            artifacts.write_file(path, lambda part, vectors=vectors: _save(part, vectors))  # type: ignore[misc]
        if on_progress:
            on_progress(start + len(batch), len(texts))


def join_shards(folder: Path, target: Path, count: int, dim: int, meta: dict[str, Any]) -> str:
    """Write the matrix of all shards, in order, to the new folder `target` and return the folder's hash.

    Raises Damaged unless the shards are `count` vectors of `dim` finite numbers; FileExistsError when the target
    exists.
    """

    def fill(part: Path) -> None:
        matrix = np.lib.format.open_memmap(part / _MATRIX, mode="w+", dtype=np.float32, shape=(count, dim))
        row = 0
        for number in range(-(-count // SHARD_SIZE)):
            shard = _load_array(_shard_path(folder, number))
            if shard.ndim != 2 or shard.shape[1] != dim or row + len(shard) > count or not np.isfinite(shard).all():
                raise artifacts.Damaged(f"{_shard_path(folder, number)} holds no vectors of {dim} finite numbers")
            matrix[row : row + len(shard)] = shard
            row += len(shard)
        if row != count:
            raise artifacts.Damaged(f"{folder} holds {row} vectors instead of {count}")
        matrix.flush()

    return artifacts.write_folder(target, fill, meta | {"count": count, "dim": dim})


def load(folder: Path) -> FloatArray:
    """Open the (n, dim) matrix, memory-mapped and read-only. Raises Damaged when it is missing or incomplete."""
    return _load_array(folder / _MATRIX, "r")


def nearest(queries: FloatArray, matrix: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    """Return (q, m) inner products and rows of the m = min(k, n) nearest neighbours, best first; ties by row.

    queries: (q, dim). Products are rounded to six places before they are compared: their last bits depend on the
    batch size, and equal passages must not change places with it.
    """
    import faiss

    n = len(matrix)
    k = min(k, n)
    if k <= 0 or not len(queries):
        return np.zeros((len(queries), max(k, 0)), np.float32), np.zeros((len(queries), max(k, 0)), np.int64)
    depth = min(n, k + _SPARE)
    scores, rows = faiss.knn(queries, matrix, depth, metric=faiss.METRIC_INNER_PRODUCT)
    scores = np.round(scores, 6)
    order = np.lexsort((rows, -scores))[:, :k]
    best, best_rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
    # All spare candidates tie with place k: a tie with a lower row may lie beyond them.
    for q in np.flatnonzero(scores.min(axis=1) == best[:, -1]) if depth < n else []:
        best[q], best_rows[q] = top_k(np.round(matrix @ queries[q], 6), k)
    return best, best_rows


def top_k(scores: FloatArray, k: int) -> tuple[FloatArray, IntArray]:
    """Return the k best of (n,) scores with their rows, best first; ties by row. k ≤ n."""
    if k < len(scores):
        threshold = np.partition(scores, -k)[-k]
        rows = np.flatnonzero(scores >= threshold)
    else:
        rows = np.arange(len(scores))
    rows = rows[np.lexsort((rows, -scores[rows]))][:k].astype(np.int64)
    return scores[rows], rows


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npy"


def _load_array(path: Path, mmap_mode: Literal["r"] | None = None) -> FloatArray:
    try:
        array: FloatArray = np.load(path, mmap_mode=mmap_mode)
    except (OSError, ValueError, EOFError) as error:
        raise artifacts.Damaged(f"{path} holds no readable vectors") from error
    return array


def _save(path: Path, vectors: FloatArray) -> None:
    with path.open("wb") as stream:
        np.save(stream, vectors)
