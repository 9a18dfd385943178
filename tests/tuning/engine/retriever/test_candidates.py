"""tuning/engine/retriever/candidates.py and batches.py: who may be a negative of whom."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tuning.engine.data.examples import BadRow, JudgedQuery
from tuning.engine.retriever import batches, candidates, whitening
from tuning.engine.retriever.batches import Material
from tuning.engine.retriever.candidates import Example, LmScores
from tuning.engine.retriever.retriever_spec import RetrieverSettings

ROWS = {"a": 0, "b": 1, "c": 2, "d": 3}


def example(row: int, grades: dict[int, float], scored: dict[int, float] | None = None) -> Example:
    names = {number: name for name, number in ROWS.items()}
    lm = {"q": LmScores({names[at]: score for at, score in (scored or {}).items()})} if scored else {}
    query = JudgedQuery("q", "?", {names[at]: grade for at, grade in grades.items()})
    found = candidates.gather([query], ROWS, lm, 0.15).examples[0]
    return Example(row, found.judged, found.grades, found.is_right, found.scored, found.lm_target, found.weight)


def material(examples: list[Example]) -> Material:
    """Cosines of query 0 with a, b, c, d: 1, 0.96, 0.6, 0; of query 1: 0, 0.28, 0.8, 1."""
    passages = np.array([[1, 0], [0.96, 0.28], [0.6, 0.8], [0, 1]], np.float32)
    looked_at = np.arange(len(passages))
    queries = np.eye(2, dtype=np.float32)
    return Material(["q0", "q1"], list("abcd"), queries, passages, examples, looked_at, whitening.none(2))


def test_gathering_counts_what_it_leaves_out() -> None:
    queries = [JudgedQuery("q1", "?", {"a": 3, "gone": 2}), JudgedQuery("q2", "?"), JudgedQuery("q3", "?", {"gone": 1})]
    found = candidates.gather(queries, ROWS, {}, 0.15)
    assert [one.row for one in found.examples] == [0]
    assert (found.without_grades, found.unknown_passages) == (2, 2)
    assert found.examples[0].judged.tolist() == [0]


def test_an_answer_that_needs_no_passage_has_no_lm_part() -> None:
    lm = {"q1": LmScores({"a": -1.0, "b": -2.0}, without_passage=-0.5), "q2": LmScores({"a": -1.0, "b": -2.0}, -1.5)}
    queries = [JudgedQuery("q1", "?", {"a": 3}), JudgedQuery("q2", "?", {"a": 3})]
    first, second = candidates.gather(queries, ROWS, lm, 0.15).examples
    assert len(first.scored) == 0 and second.scored.tolist() == [0, 1]


def test_near_is_more_than_a_share_of_the_best_positive() -> None:
    scores = np.array([1.0, 0.96, 0.94, 0.6])
    assert candidates.near_positives(scores, np.array([0]), 0.95).tolist() == [True, True, False, False]
    assert not candidates.near_positives(scores, np.array([], dtype=np.int64), 0.95).any()


def test_mined_negatives_are_unjudged_and_not_near() -> None:
    scores = np.array([1.0, 0.98, 0.7, 0.6])
    one = example(0, {0: 3, 2: 0})
    near = candidates.near_positives(scores, one.right, 0.95)
    assert candidates.mined(scores, one, near, 5).tolist() == [3]  # 1 is near, 0 and 2 are judged


def test_an_unjudged_near_passage_is_neither_right_nor_wrong() -> None:
    one = example(0, {0: 3})
    batch = batches.make(material([one]), [one], [0, 1, 2, 3], RetrieverSettings(), are_hard=True)
    assert batch.right.tolist() == [[True, False, False, False]]
    assert batch.wrong.tolist() == [[False, False, True, True]]  # b: 0.96 > 0.95 · 1


def test_what_came_with_another_query_is_wrong_unless_it_is_the_positive_again() -> None:
    one = example(0, {0: 3})
    vectors = np.array([[1, 0], [0.99, 0.14107], [0.96, 0.28], [0, 1]], np.float32)
    known = replace(material([one]), passage_vectors=vectors, query_vectors=np.array([[0.6, 0.8]], np.float32))
    batch = batches.make(known, [one], [0, 1, 2, 3], RetrieverSettings(twin=0.98), are_hard=False)
    assert batch.wrong.tolist() == [[False, False, True, True]]  # the last two score higher, and are there to learn


def test_a_judged_not_passage_is_wrong_however_near() -> None:
    one = example(0, {0: 3, 1: 0})
    batch = batches.make(material([one]), [one], [0, 1, 3], RetrieverSettings(), are_hard=True)
    assert batch.wrong.tolist() == [[False, True, True]]


def test_another_querys_passage_that_is_relevant_here_is_not_a_negative() -> None:
    first, second = example(0, {2: 3, 3: 2}), example(1, {3: 3})
    batch = batches.make(material([first, second]), [first, second], [2, 3, 3], RetrieverSettings(), are_hard=True)
    assert batch.passages.tolist() == [2, 3]  # once each
    assert batch.right.tolist() == [[True, True], [False, True]]
    assert not batch.wrong[0].any()


def test_a_merely_related_passage_is_graded_in_the_list_and_left_out_of_the_contrast() -> None:
    one = example(0, {0: 3, 2: 1, 3: 0})
    batch = batches.make(material([one]), [one], [0, 2, 3], RetrieverSettings(grade_temperature=1.0), are_hard=True)
    assert batch.judged.all() and not batch.right[0, 1] and not batch.wrong[0, 1]
    assert batch.human[0] == pytest.approx([20.0855 / 23.8038, 2.71828 / 23.8038, 1 / 23.8038], abs=1e-5)


def test_a_query_without_a_relevant_passage_teaches_by_its_negatives_only() -> None:
    one = example(0, {0: 0})
    batch = batches.make(material([one]), [one], [0, 1, 3], RetrieverSettings(), are_hard=True)
    assert not batch.right.any() and not batch.wrong.any() and not batch.human.any()
    assert batch.refused.tolist() == [[True, False, False]]
    assert batch.others.tolist() == [[False, True, True]]


def test_the_lm_target_is_renormalised_over_the_batch() -> None:
    one = example(0, {0: 3}, scored={0: -0.5, 1: -0.5, 3: -0.5})
    batch = batches.make(material([one]), [one], [0, 1], RetrieverSettings(), are_hard=True)
    assert batch.lm.tolist() == [[0.5, 0.5]] and batch.scored.all()


def test_the_choice_of_passages_begins_with_a_right_and_the_hardest_wrong_one() -> None:
    one = example(0, {3: 3, 2: 0, 1: 0})
    picked = batches.chosen(one, np.array([1, 0.96, 0.6, 0]), RetrieverSettings(), np.random.default_rng(0), most=2)
    assert picked == [3, 1]


def test_every_example_comes_once_an_epoch_in_batches_of_like_size() -> None:
    rng = np.random.default_rng(1)
    parts = list(batches.epochs(33, 32, 2, rng))
    assert [len(part) for part in parts] == [17, 16, 17, 16] and len(parts) == batches.steps(33, 32, 2)
    assert sorted(np.concatenate(parts[:2]).tolist()) == list(range(33))


def test_lm_scores_are_read_and_a_bad_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text('{"query_id": "q", "scores": {"a": -1.5}, "without_passage": null}\n{"query_id": "q"}\n')
    with pytest.raises(BadRow, match=r"scores\.jsonl:2: "):
        candidates.read_lm_scores(path)
    path.write_text('{"query_id": "q", "scores": {"a": -1.5}, "without_passage": -2}\n')
    assert candidates.read_lm_scores(path) == {"q": LmScores({"a": -1.5}, -2.0)}


def test_what_is_left_of_a_pool_is_filled_rank_by_rank() -> None:
    rankings = [np.array([7, 1, 4]), np.array([7, 2]), np.array([], dtype=np.int64)]
    assert candidates.filled({9}, rankings, 3).tolist() == [1, 7, 9]
    assert candidates.filled({9}, rankings, 100).tolist() == [1, 2, 4, 7, 9]
    assert candidates.filled({9, 8}, rankings, 1).tolist() == [8, 9]
    assert candidates.filled(set(), [], 5).tolist() == []
