"""tuning/engine/retriever/whitening.py by vectors that can be worked by hand."""

import numpy as np
import pytest

from tuning.engine.retriever import whitening
from tuning.engine.retriever.candidates import Example


def example(row: int, right: int, grade: float = 3.0) -> Example:
    return Example(
        row=row,
        judged=np.array([right]),
        grades=np.array([grade]),
        is_right=np.array([grade > 0]),
        scored=np.array([], np.int64),
        lm_target=np.array([]),
        weight=1.0,
    )


def vectors(*rows: tuple[float, ...]) -> np.ndarray:
    found = np.array(rows, np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_matrix_takes_a_direction_back_by_the_power_of_its_variance() -> None:
    # centred: (±1, 0) and (0, ±0.5); variances (1 + 1)/4 = 0.5 and (0.25 + 0.25)/4 = 0.125
    rows = np.array([[1, 0], [-1, 0], [0, 0.5], [0, -0.5]], np.float32)
    nothing, half = whitening.of(rows, (0.0, 0.5))
    assert nothing.matrix == pytest.approx(np.eye(2), abs=1e-6)
    # 0.125^-½ / 0.5^-½ = 2
    assert half.matrix[1, 1] / half.matrix[0, 0] == pytest.approx(2, abs=1e-2)
    assert abs(half.matrix[0, 1]) < 1e-6
    assert np.square(np.diag(half.matrix)).mean() == pytest.approx(1, abs=1e-5)  # lengths stay what they are on average


def test_a_direction_without_variance_does_not_grow_without_end() -> None:
    only = whitening.of(np.array([[1, 0], [-1, 0]], np.float32), (0.4,))[0]
    assert np.isfinite(only.matrix).all() and only.matrix.max() < 2


def test_one_passage_alone_changes_nothing() -> None:
    assert whitening.of(vectors((1, 2)), (0.4,))[0].matrix == pytest.approx(np.eye(2), abs=1e-6)


def common() -> np.ndarray:
    """Passages that differ most along the first direction, which says nothing, and answer by the second."""
    chance = np.random.default_rng(0)
    return vectors(*[(3 * chance.normal(), (-1) ** at * 0.4, 1.0) for at in range(40)])


def test_the_training_queries_choose_a_power_that_finds_what_is_right() -> None:
    passages = common()
    chance = np.random.default_rng(1)
    asked = passages[:20] + np.array([1, 0, 0], np.float32) * chance.normal(size=(20, 1)).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    found = whitening.choose(asked, [example(at, at) for at in range(20)], passages, np.arange(40))
    assert found.power > 0


def test_where_nothing_is_gained_nothing_is_changed() -> None:
    passages = common()
    found = whitening.choose(passages[:20], [example(at, at) for at in range(20)], passages, np.arange(40))
    assert found.power == 0 and found.matrix == pytest.approx(np.eye(3))  # every query finds its own first already


def test_without_a_relevant_passage_there_is_nothing_to_choose_by() -> None:
    found = whitening.choose(common()[:1], [example(0, 0, grade=0.0)], common(), np.arange(40))
    assert found.power == 0 and (found.matrix == np.eye(3)).all()
