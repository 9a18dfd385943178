"""Agreement and consensus, against sums done by hand and libraries on random input."""

from __future__ import annotations

import numpy as np
import pytest

from curation.engine.statistics import agreement
from curation.engine.statistics.agreement import Vote


def _random_votes(seed: int, items: int = 60, judges: int = 5) -> list[Vote]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, items)
    return [
        Vote(item, judge, int(np.clip(truth[item] + rng.choice([-1, 0, 0, 0, 1]), 0, 3)))
        for item in range(items)
        for judge in rng.permutation(judges)[:3].tolist()
    ]


def _arrays(votes: list[Vote]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array([(vote.item, vote.judge, vote.grade) for vote in votes])
    return table[:, 0], table[:, 1], table[:, 2]


def test_one_vote_stands() -> None:
    assert agreement.consensus([Vote(7, 1, 2)]) == {7: agreement.Consensus(2.0, 1.0, 1, "sole", 0)}


def test_two_votes_give_their_median() -> None:
    # grades 1 and 3: median 2; reliability 1 - |3 - 1| / 3 = 1/3
    found = agreement.consensus([Vote(7, 1, 1), Vote(7, 2, 3)])[7]
    assert (found.grade, found.judges, found.method, found.gap) == (2.0, 2, "median", 2)
    assert found.reliability == pytest.approx(1 / 3)


def test_no_vote_gives_nothing() -> None:
    assert agreement.consensus([]) == {}


def test_three_who_agree_are_believed() -> None:
    votes = [Vote(item, judge, grade) for item, grade in enumerate([0, 3, 1, 2]) for judge in range(3)]
    found = agreement.consensus(votes)
    assert [round(found[item].grade, 1) for item in range(4)] == pytest.approx([0, 3, 1, 2], abs=0.2)
    assert min(one.reliability for one in found.values()) > 0.8


def test_one_against_two_on_a_single_passage_does_not_carry_the_day() -> None:
    found = agreement.consensus([Vote(0, 1, 3), Vote(0, 2, 3), Vote(0, 3, 2)])[0]
    assert 2.5 < found.grade < 3 and found.gap == 1


def test_a_judge_known_to_be_careless_weighs_less() -> None:
    rng = np.random.default_rng(3)
    context = [
        Vote(-1 - item, judge, int(rng.integers(0, 4)) if judge == 3 else item % 4)
        for item in range(60)
        for judge in range(4)
    ]
    split = [Vote(0, 0, 3), Vote(0, 3, 0), Vote(0, 1, 3)]
    alone, known = agreement.consensus(split)[0], agreement.consensus(split, context)[0]
    assert known.grade > alone.grade and known.reliability > alone.reliability
    assert set(agreement.consensus(split, context)) == {0}  # the context gets no consensus


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("seed", range(3))
def test_dawid_skene_is_crowd_kits_on_random_input(seed: int) -> None:
    pd = pytest.importorskip("pandas")
    from crowdkit.aggregation import DawidSkene

    votes = _random_votes(seed)
    frame = pd.DataFrame([(vote.item, vote.judge, vote.grade) for vote in votes], columns=["task", "worker", "label"])
    theirs = DawidSkene(100).fit_predict_proba(frame)
    theirs = theirs.reindex(index=sorted(theirs.index), columns=sorted(theirs.columns)).to_numpy()
    assert agreement.dawid_skene(*_arrays(votes)) == pytest.approx(theirs, abs=1e-4)


def test_dawid_skene_with_a_class_nobody_gave() -> None:
    posterior = agreement.dawid_skene(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 0, 3, 3]))
    assert posterior == pytest.approx(np.array([[1, 0, 0, 0], [0, 0, 0, 1]]), abs=1e-6)


def test_alpha_is_krippendorffs_ordinal_example() -> None:
    """By hand, ordinal δ² = (Σ of marginals between, ends halved)².

    Units: (0,0), (1,1), (2,1). Marginals n0 = 2, n1 = 3, n2 = 1, n = 6. δ²(1,2) = (3/2 + 1/2)² = 4, δ²(0,1) =
    (2/2 + 3/2)² = 6.25, δ²(0,2) = (2/2 + 3 + 1/2)² = 20.25. D_o = (1/6)·2·4 = 4/3;
    D_e = 2·(2·3·6.25 + 2·1·20.25 + 3·1·4) / (6·5) = 6; α = 1 - (4/3)/6 = 0.7778.
    """
    assert agreement.alpha(np.array([[0.0, 1, 2], [0, 1, 1]])) == pytest.approx(1 - (4 / 3) / 6)


def test_alpha_is_one_where_all_agree_and_undefined_without_a_difference_to_see() -> None:
    assert agreement.alpha(np.array([[0.0, 1, 3], [0, 1, 3]])) == pytest.approx(1)
    assert np.isnan(agreement.alpha(np.array([[2.0, 2], [2, 2]])))
    assert np.isnan(agreement.alpha(np.array([[2.0, np.nan], [np.nan, 1]])))  # no pair


def test_the_interval_of_alpha_holds_it_and_follows_the_seed() -> None:
    _judges, _items, ratings = agreement.matrix(_random_votes(0))
    low, high = agreement.alpha_interval(ratings, resamples=100, seed=1)
    assert low < agreement.alpha(ratings) < high
    assert (low, high) == agreement.alpha_interval(ratings, resamples=100, seed=1)


def test_kappa_by_hand() -> None:
    """Seen agreement 3 of 4; chance (2·1 + 1·2 + 1·1) / 16 = 5/16; κ = (0.75 - 0.3125) / 0.6875."""
    first, second = np.array([0, 0, 1, 3]), np.array([0, 1, 1, 3])
    assert agreement.kappa(first, second, quadratic=False) == pytest.approx((0.75 - 0.3125) / 0.6875)
    assert np.isnan(agreement.kappa(np.array([2, 2]), np.array([2, 2])))
    assert np.isnan(agreement.kappa(np.array([], dtype=int), np.array([], dtype=int)))


def test_weighted_kappa_is_scikit_learns_on_random_input() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 50)
    second = np.clip(first + rng.integers(-1, 2, 50), 0, 3)
    assert agreement.kappa(first, second) == pytest.approx(
        metrics.cohen_kappa_score(first, second, weights="quadratic")
    )


def test_the_matrix_has_a_hole_where_there_is_no_grade() -> None:
    judges, items, ratings = agreement.matrix([Vote(5, 2, 3), Vote(9, 1, 0)])
    assert (judges, items) == ([1, 2], [5, 9])
    assert np.array_equal(ratings, [[np.nan, 0], [3, np.nan]], equal_nan=True)


def test_the_medoid_is_the_answer_most_like_the_others() -> None:
    texts = ["The lion sleeps.", "Ask the keeper.", "The lion sleeps a lot."]
    place, similarity = agreement.medoid(texts)
    assert place in (0, 2) and similarity > 0.3
    assert agreement.medoid(["one"]) == (0, 1.0)
    with pytest.raises(ValueError):
        agreement.medoid([])


def test_likeness_works_for_scripts_without_spaces() -> None:
    assert agreement.similarity("狮子晚上打猎", "狮子晚上打猎。") > 0.8
    assert agreement.similarity("", "") == 1.0
    assert agreement.similarity("a", "") == 0.0


def test_the_fast_bootstrap_of_alpha_is_the_package_s_on_the_same_draws() -> None:
    rng = np.random.default_rng(3)
    ratings = rng.integers(0, 4, (4, 30)).astype(float)
    ratings[rng.random((4, 30)) < 0.4] = np.nan
    paired = ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]
    draws = np.random.default_rng(5).integers(0, paired.shape[1], (40, paired.shape[1]))
    expected = np.percentile([agreement.alpha(paired[:, draw]) for draw in draws], [2.5, 97.5])
    assert agreement.alpha_interval(ratings, resamples=40, seed=5) == pytest.approx(tuple(expected), abs=1e-12)


def test_the_interval_of_kappa_narrows_with_the_passages_and_is_a_point_where_people_always_agree() -> None:
    rng = np.random.default_rng(4)
    first = rng.integers(0, 4, 400)
    second = np.where(rng.random(400) < 0.7, first, rng.integers(0, 4, 400))
    few, many = (agreement.kappa_interval(first[:n], second[:n]) for n in (40, 400))
    assert many[0] < agreement.kappa(first, second) < many[1] and many[1] - many[0] < few[1] - few[0]
    assert agreement.kappa_interval(first, first) == (1.0, 1.0)
    assert np.isnan(agreement.kappa_interval(first[:0], second[:0])).all()
