"""tuning/engine/retriever/whitening.py by vectors that can be worked by hand."""

import numpy as np
import pytest

from tuning.engine.retriever import whitening
from tuning.engine.retriever.candidates import TrainingExample


def example(row: int, positive: int, grade: float = 3.0) -> TrainingExample:
    return TrainingExample(
        row=row,
        judged_rows=np.array([positive]),
        grades=np.array([grade]),
        is_positive=np.array([grade > 0]),
        scored_rows=np.array([], np.int64),
        lm_target=np.array([]),
        weight=1.0,
    )


def vectors(*rows: tuple[float, ...]) -> np.ndarray:
    matrix = np.array(rows, np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def test_the_matrix_shrinks_a_direction_by_the_power_of_its_variance() -> None:
    # centred: (±1, 0) and (0, ±0.5); variances (1 + 1)/4 = 0.5 and (0.25 + 0.25)/4 = 0.125
    rows = np.array([[1, 0], [-1, 0], [0, 0.5], [0, -0.5]], np.float32)
    identity, half = whitening.whitenings(rows, (0.0, 0.5))
    assert identity.matrix == pytest.approx(np.eye(2), abs=1e-6)
    # 0.125^-½ / 0.5^-½ = 2
    assert half.matrix[1, 1] / half.matrix[0, 0] == pytest.approx(2, abs=1e-2)
    assert abs(half.matrix[0, 1]) < 1e-6
    assert np.square(np.diag(half.matrix)).mean() == pytest.approx(1, abs=1e-5)  # the mean length stays the same


def test_a_direction_without_variance_does_not_grow_without_bound() -> None:
    only = whitening.whitenings(np.array([[1, 0], [-1, 0]], np.float32), (0.4,))[0]
    assert np.isfinite(only.matrix).all() and only.matrix.max() < 2


def test_one_passage_alone_changes_nothing() -> None:
    assert whitening.whitenings(vectors((1, 2)), (0.4,))[0].matrix == pytest.approx(np.eye(2), abs=1e-6)


def common() -> np.ndarray:
    """Passages that differ most along the first direction, which is noise, and answer by the second."""
    rng = np.random.default_rng(0)
    return vectors(*[(3 * rng.normal(), (-1) ** at * 0.4, 1.0) for at in range(40)])


def test_the_training_queries_choose_a_power_that_ranks_positives_higher() -> None:
    passages = common()
    rng = np.random.default_rng(1)
    queries = passages[:20] + np.array([1, 0, 0], np.float32) * rng.normal(size=(20, 1)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    chosen = whitening.choose(queries, [example(at, at) for at in range(20)], passages, np.arange(40))
    assert chosen.power > 0


def test_without_a_gain_the_whitening_is_the_identity() -> None:
    passages = common()
    chosen = whitening.choose(passages[:20], [example(at, at) for at in range(20)], passages, np.arange(40))
    assert chosen.power == 0 and chosen.matrix == pytest.approx(np.eye(3))  # every query ranks its own first already


def test_without_a_relevant_passage_the_whitening_is_the_identity() -> None:
    chosen = whitening.choose(common()[:1], [example(0, 0, grade=0.0)], common(), np.arange(40))
    assert chosen.power == 0 and (chosen.matrix == np.eye(3)).all()
