from pathlib import Path

import numpy as np
import pytest

from retrieval.engine.encoders.cross_encoder import NoReranker, TextReranker, reorder
from tests.tiny_models import make_text, tiny_encoder, tiny_reranker


def test_a_share_of_1_is_the_cross_encoders_order_and_0_the_rankings() -> None:
    ranked, cross_scores = np.array([0.9, 0.5, 0.1], np.float32), np.array([-3.0, 8.0, 2.0], np.float32)
    order, scores = reorder(ranked, cross_scores, 1.0)
    assert order.tolist() == [1, 2, 0]
    assert scores.max() == pytest.approx(0.9) and scores.min() == pytest.approx(0.1)  # the range of the old ones
    assert list(scores) == sorted(scores, reverse=True)
    order, scores = reorder(ranked, cross_scores, 0.0)
    assert order.tolist() == [0, 1, 2] and scores == pytest.approx(ranked)


def test_between_0_and_1_both_scores_count() -> None:
    """z-scores: ranked (1.22, 0, −1.22), cross-encoder (−1.22, 0, 1.22); at 0.25 they sum to (0.61, 0, −0.61)."""
    order, scores = reorder(np.array([3, 2, 1], np.float32), np.array([1, 2, 3], np.float32), 0.25)
    assert order.tolist() == [0, 1, 2] and scores.tolist() == pytest.approx([3, 2, 1])
    order, _scores = reorder(np.array([3, 2, 1], np.float32), np.array([1, 2, 3], np.float32), 0.75)
    assert order.tolist() == [2, 1, 0]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_equal_scores_keep_their_order(n: int) -> None:
    same = np.ones(n, np.float32)
    order, scores = reorder(same, same, 0.5)
    assert order.tolist() == list(range(n)) and scores.tolist() == same.tolist()


def test_pairs_are_scored_alike_alone_and_together(tmp_path: Path) -> None:
    reranker = TextReranker(tiny_reranker(tmp_path))
    pairs = [("ba de", make_text(range(n), 0)) for n in (1, 30, 4, 12, 2) * 5]
    together = reranker.scores(pairs)
    assert together == pytest.approx(np.concatenate([reranker.scores([pair]) for pair in pairs]), abs=1e-5)
    assert together.std() > 0.01
    assert reranker.scores([]).shape == (0,)


def test_a_folder_without_a_reranker_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoReranker, match="holds no reranker: .* has no readable meta.json"):
        TextReranker(tmp_path)
    with pytest.raises(NoReranker, match="has no readable meta.json"):
        TextReranker(tiny_encoder(tmp_path))  # it would load, with a random head
    damaged = tiny_reranker(tmp_path)
    (damaged / "config.json").write_text("{}")
    with pytest.raises(NoReranker, match=f"{damaged} holds no reranker: "):
        TextReranker(damaged)
