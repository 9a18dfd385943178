from pathlib import Path

import numpy as np
import pytest

from common import artifacts
from retrieval.engine.indexes import dense_index


def unit(rows: list[list[float]]) -> np.ndarray:
    matrix = np.array(rows, np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def test_the_nearest_come_best_first() -> None:
    matrix = unit([[1, 0], [0, 1], [1, 1]])
    scores, rows = dense_index.nearest(unit([[1, 0.1]]), matrix, 2)
    assert rows.tolist() == [[0, 2]]
    assert scores[0] == pytest.approx([1 / 1.01**0.5, 1.1 / (2 * 1.01) ** 0.5], abs=1e-5)


def test_k_beyond_the_corpus_gives_the_corpus_and_no_padding() -> None:
    matrix = unit([[1, 0], [0, 1]])
    scores, rows = dense_index.nearest(matrix, matrix, 50)
    assert rows.tolist() == [[0, 1], [1, 0]] and scores.shape == (2, 2)
    assert dense_index.nearest(matrix[:0], matrix, 5)[0].shape == (0, 2)
    assert dense_index.nearest(matrix, matrix[:0], 5)[0].shape == (2, 0)
    assert dense_index.nearest(matrix, matrix, 0)[0].shape == (2, 0)


def test_ties_rank_by_row_whatever_the_batch_size() -> None:
    generator = np.random.default_rng(0)
    one = generator.normal(size=(1, 48)).astype(np.float32)
    matrix = unit(np.repeat(one, 300, axis=0).tolist())
    queries = unit(generator.normal(size=(40, 48)).tolist())
    _scores, rows = dense_index.nearest(queries, matrix, 7)
    assert rows.tolist() == [list(range(7))] * 40
    for query in queries[:3]:
        assert dense_index.nearest(query[None], matrix, 7)[1].tolist() == [list(range(7))]


def test_top_k_keeps_the_lower_row_of_equal_scores() -> None:
    scores = np.array([1, 3, 3, 0, 3], np.float32)
    assert dense_index.top_k(scores, 2)[1].tolist() == [1, 2]
    assert dense_index.top_k(scores, 5)[1].tolist() == [1, 2, 4, 0, 3]


def test_existing_shards_are_not_embedded_again(tmp_path: Path) -> None:
    texts = [str(number) for number in range(dense_index.SHARD_SIZE + 10)]
    batch_sizes: list[int] = []

    def encode(batch: list[str]) -> np.ndarray:
        batch_sizes.append(len(batch))
        return np.array([[float(text), 1] for text in batch], np.float32)

    shards, reports = tmp_path / "x.shards", []
    dense_index.embed_in_shards(shards, encode, texts[: dense_index.SHARD_SIZE])
    dense_index.embed_in_shards(shards, encode, texts, lambda done, total: reports.append((done, total)))
    assert batch_sizes == [dense_index.SHARD_SIZE, 10] and reports == [(512, 522), (522, 522)]
    dense_index.join_shards(shards, tmp_path / "x", 522, 2, {"dtype": "float32"})
    matrix = dense_index.load(tmp_path / "x")
    assert matrix[:, 0].tolist() == list(range(522)) and not matrix.flags.writeable
    assert artifacts.read_meta(tmp_path / "x") == {"count": 522, "dim": 2, "dtype": "float32"}


@pytest.mark.parametrize(("count", "dim"), [(3, 2), (2, 3), (1, 2)])
def test_shards_that_do_not_fit_are_damaged(tmp_path: Path, count: int, dim: int) -> None:
    dense_index.embed_in_shards(tmp_path / "x.shards", lambda batch: np.ones((len(batch), 2), np.float32), ["a", "b"])
    with pytest.raises(artifacts.Damaged):
        dense_index.join_shards(tmp_path / "x.shards", tmp_path / "x", count, dim, {})
    assert not (tmp_path / "x").exists()


def test_vectors_that_are_not_numbers_are_damaged(tmp_path: Path) -> None:
    dense_index.embed_in_shards(tmp_path / "x.shards", lambda batch: np.full((1, 2), np.nan, np.float32), ["a"])
    with pytest.raises(artifacts.Damaged, match="finite"):
        dense_index.join_shards(tmp_path / "x.shards", tmp_path / "x", 1, 2, {})
    with pytest.raises(artifacts.Damaged):
        dense_index.load(tmp_path / "x")
