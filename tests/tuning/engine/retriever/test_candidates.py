"""tuning/engine/retriever/candidates.py and batches.py: who may be a negative of whom."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tuning.engine.data.examples import BadRow, JudgedQuery
from tuning.engine.retriever import batches, candidates, whitening
from tuning.engine.retriever.batches import TrainingData
from tuning.engine.retriever.candidates import LmScores, TrainingExample
from tuning.engine.retriever.retriever_spec import RetrieverSettings

ROWS = {"a": 0, "b": 1, "c": 2, "d": 3}


def example(row: int, grades: dict[int, float], scored: dict[int, float] | None = None) -> TrainingExample:
    names = {number: name for name, number in ROWS.items()}
    lm = {"q": LmScores({names[at]: score for at, score in (scored or {}).items()})} if scored else {}
    query = JudgedQuery("q", "?", {names[at]: grade for at, grade in grades.items()})
    return replace(candidates.build_examples([query], ROWS, lm, 0.15).examples[0], row=row)


def training_data(examples: list[TrainingExample]) -> TrainingData:
    """Cosines of query 0 with a, b, c, d: 1, 0.96, 0.6, 0; of query 1: 0, 0.28, 0.8, 1."""
    passages = np.array([[1, 0], [0.96, 0.28], [0.6, 0.8], [0, 1]], np.float32)
    rows = np.arange(len(passages))
    queries = np.eye(2, dtype=np.float32)
    return TrainingData(["q0", "q1"], list("abcd"), queries, passages, examples, rows, whitening.identity(2))


def test_building_examples_counts_what_it_leaves_out() -> None:
    queries = [JudgedQuery("q1", "?", {"a": 3, "gone": 2}), JudgedQuery("q2", "?"), JudgedQuery("q3", "?", {"gone": 1})]
    found = candidates.build_examples(queries, ROWS, {}, 0.15)
    assert [one.row for one in found.examples] == [0]
    assert (found.without_grades, found.unknown_passages) == (2, 2)
    assert found.examples[0].judged_rows.tolist() == [0]


def test_an_answer_that_needs_no_passage_has_no_lm_target() -> None:
    lm = {"q1": LmScores({"a": -1.0, "b": -2.0}, without_passage=-0.5), "q2": LmScores({"a": -1.0, "b": -2.0}, -1.5)}
    queries = [JudgedQuery("q1", "?", {"a": 3}), JudgedQuery("q2", "?", {"a": 3})]
    first, second = candidates.build_examples(queries, ROWS, lm, 0.15).examples
    assert len(first.scored_rows) == 0 and second.scored_rows.tolist() == [0, 1]


def test_a_likely_false_negative_scores_above_a_ratio_of_the_best_positive() -> None:
    scores = np.array([1.0, 0.96, 0.94, 0.6])
    assert candidates.likely_false_negatives(scores, np.array([0]), 0.95).tolist() == [True, True, False, False]
    assert not candidates.likely_false_negatives(scores, np.array([], dtype=np.int64), 0.95).any()


def test_hard_negatives_are_unjudged_and_no_likely_false_negatives() -> None:
    scores = np.array([1.0, 0.98, 0.7, 0.6])
    one = example(0, {0: 3, 2: 0})
    barred = candidates.likely_false_negatives(scores, one.positive_rows, 0.95)
    assert candidates.mine_hard_negatives(scores, one, barred, 5).tolist() == [3]  # 1 is barred, 0 and 2 are judged


def test_a_likely_false_negative_is_neither_positive_nor_negative() -> None:
    one = example(0, {0: 3})
    batch = batches.build_batch(training_data([one]), [one], [0, 1, 2, 3], RetrieverSettings(), are_hard=True)
    assert batch.positives.tolist() == [[True, False, False, False]]
    assert batch.negatives.tolist() == [[False, False, True, True]]  # b: 0.96 > 0.95 · 1


def test_an_in_batch_passage_is_a_negative_unless_it_duplicates_the_positive() -> None:
    one = example(0, {0: 3})
    vectors = np.array([[1, 0], [0.99, 0.14107], [0.96, 0.28], [0, 1]], np.float32)
    data = replace(training_data([one]), passage_vectors=vectors, query_vectors=np.array([[0.6, 0.8]], np.float32))
    batch = batches.build_batch(data, [one], [0, 1, 2, 3], RetrieverSettings(duplicate_cosine=0.98), are_hard=False)
    assert batch.negatives.tolist() == [[False, False, True, True]]  # the last two score higher, and are there to learn


def test_a_passage_judged_not_relevant_is_a_negative_however_close() -> None:
    one = example(0, {0: 3, 1: 0})
    batch = batches.build_batch(training_data([one]), [one], [0, 1, 3], RetrieverSettings(), are_hard=True)
    assert batch.negatives.tolist() == [[False, True, True]]


def test_another_querys_passage_that_is_relevant_here_is_not_a_negative() -> None:
    first, second = example(0, {2: 3, 3: 2}), example(1, {3: 3})
    batch = batches.build_batch(
        training_data([first, second]), [first, second], [2, 3, 3], RetrieverSettings(), are_hard=True
    )
    assert batch.passages.tolist() == [2, 3]  # once each
    assert batch.positives.tolist() == [[True, True], [False, True]]
    assert not batch.negatives[0].any()


def test_a_related_passage_has_a_target_but_no_part_in_the_contrastive_loss() -> None:
    one = example(0, {0: 3, 2: 1, 3: 0})
    batch = batches.build_batch(
        training_data([one]), [one], [0, 2, 3], RetrieverSettings(grade_temperature=1.0), are_hard=True
    )
    assert batch.judged.all() and not batch.positives[0, 1] and not batch.negatives[0, 1]
    assert batch.human_target[0] == pytest.approx([20.0855 / 23.8038, 2.71828 / 23.8038, 1 / 23.8038], abs=1e-5)


def test_a_query_without_a_relevant_passage_has_negatives_only() -> None:
    one = example(0, {0: 0})
    batch = batches.build_batch(training_data([one]), [one], [0, 1, 3], RetrieverSettings(), are_hard=True)
    assert not batch.positives.any() and not batch.negatives.any() and not batch.human_target.any()
    assert batch.only_negatives.tolist() == [[True, False, False]]
    assert batch.unjudged.tolist() == [[False, True, True]]


def test_the_lm_target_is_renormalised_over_the_batch() -> None:
    one = example(0, {0: 3}, scored={0: -0.5, 1: -0.5, 3: -0.5})
    batch = batches.build_batch(training_data([one]), [one], [0, 1], RetrieverSettings(), are_hard=True)
    assert batch.lm_target.tolist() == [[0.5, 0.5]] and batch.scored.all()


def test_the_choice_of_passages_starts_with_a_positive_and_the_hardest_negative() -> None:
    one = example(0, {3: 3, 2: 0, 1: 0})
    rows = batches.choose_passages(
        one, np.array([1, 0.96, 0.6, 0]), RetrieverSettings(), np.random.default_rng(0), max_passages=2
    )
    assert rows == [3, 1]


def test_every_example_comes_once_an_epoch_in_batches_of_like_size() -> None:
    rng = np.random.default_rng(1)
    parts = list(batches.epoch_batches(33, 32, 2, rng))
    assert [len(part) for part in parts] == [17, 16, 17, 16] and len(parts) == batches.count_batches(33, 32, 2)
    assert sorted(np.concatenate(parts[:2]).tolist()) == list(range(33))


def test_lm_scores_are_read_and_a_bad_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text('{"query_id": "q", "scores": {"a": -1.5}, "without_passage": null}\n{"query_id": "q"}\n')
    with pytest.raises(BadRow, match=r"scores\.jsonl:2: "):
        candidates.read_lm_scores(path)
    path.write_text('{"query_id": "q", "scores": {"a": -1.5}, "without_passage": -2}\n')
    assert candidates.read_lm_scores(path) == {"q": LmScores({"a": -1.5}, -2.0)}


def test_a_pool_is_filled_rank_by_rank() -> None:
    rankings = [np.array([7, 1, 4]), np.array([7, 2]), np.array([], dtype=np.int64)]
    assert candidates.fill_pool({9}, rankings, 3).tolist() == [1, 7, 9]
    assert candidates.fill_pool({9}, rankings, 100).tolist() == [1, 2, 4, 7, 9]
    assert candidates.fill_pool({9, 8}, rankings, 1).tolist() == [8, 9]
    assert candidates.fill_pool(set(), [], 5).tolist() == []
