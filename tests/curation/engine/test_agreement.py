"""Inter-annotator agreement and consensus, against sums by hand and libraries on random input."""

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
    result = agreement.consensus([Vote(7, 1, 1), Vote(7, 2, 3)])[7]
    assert (result.grade, result.judges, result.method, result.gap) == (2.0, 2, "median", 2)
    assert result.reliability == pytest.approx(1 / 3)


def test_no_vote_gives_no_consensus() -> None:
    assert agreement.consensus([]) == {}


def test_the_consensus_of_three_who_agree_is_their_grade_with_a_high_reliability() -> None:
    votes = [Vote(item, judge, grade) for item, grade in enumerate([0, 3, 1, 2]) for judge in range(3)]
    by_item = agreement.consensus(votes)
    assert [round(by_item[item].grade, 1) for item in range(4)] == pytest.approx([0, 3, 1, 2], abs=0.2)
    assert min(result.reliability for result in by_item.values()) > 0.8


def test_one_judge_against_two_on_a_single_passage_does_not_decide() -> None:
    result = agreement.consensus([Vote(0, 1, 3), Vote(0, 2, 3), Vote(0, 3, 2)])[0]
    assert 2.5 < result.grade < 3 and result.gap == 1


def test_a_judge_whose_other_grades_are_random_has_less_weight() -> None:
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
    assert agreement.krippendorff_alpha(np.array([[0.0, 1, 2], [0, 1, 1]])) == pytest.approx(1 - (4 / 3) / 6)


def test_alpha_is_one_where_all_agree_and_undefined_where_all_grades_are_the_same() -> None:
    assert agreement.krippendorff_alpha(np.array([[0.0, 1, 3], [0, 1, 3]])) == pytest.approx(1)
    assert np.isnan(agreement.krippendorff_alpha(np.array([[2.0, 2], [2, 2]])))
    assert np.isnan(agreement.krippendorff_alpha(np.array([[2.0, np.nan], [np.nan, 1]])))  # no pair


def test_the_bootstrap_interval_of_alpha_contains_it_and_follows_the_seed() -> None:
    _judges, _items, ratings = agreement.rating_matrix(_random_votes(0))
    low, high = agreement.krippendorff_alpha_interval(ratings, resamples=100, seed=1)
    assert low < agreement.krippendorff_alpha(ratings) < high
    assert (low, high) == agreement.krippendorff_alpha_interval(ratings, resamples=100, seed=1)


def test_kappa_by_hand() -> None:
    """Seen agreement 3 of 4; chance (2·1 + 1·2 + 1·1) / 16 = 5/16; κ = (0.75 - 0.3125) / 0.6875."""
    first, second = np.array([0, 0, 1, 3]), np.array([0, 1, 1, 3])
    assert agreement.cohen_kappa(first, second, quadratic=False) == pytest.approx((0.75 - 0.3125) / 0.6875)
    assert np.isnan(agreement.cohen_kappa(np.array([2, 2]), np.array([2, 2])))
    assert np.isnan(agreement.cohen_kappa(np.array([], dtype=int), np.array([], dtype=int)))


def test_weighted_kappa_by_hand_counts_the_distance_on_the_whole_scale() -> None:
    """Grades 0, 2, 3 and 0, 2, 2: the squared distances sum to 1.

    By chance, over all nine combinations of a first and a second grade: 3 · (2·4 + 4 + 9 + 2·1) / 9 = 23/3.
    """
    kappa = agreement.cohen_kappa(np.array([0, 2, 3]), np.array([0, 2, 2]))
    assert kappa == pytest.approx(1 - 3 / 23)


@pytest.mark.parametrize("quadratic", [True, False])
def test_the_kappas_of_the_bootstrap_are_those_of_scikit_learn(quadratic: bool) -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 50)
    second = np.clip(first + rng.integers(-1, 2, 50), 0, 3)
    matrices = np.zeros((1, 4, 4))
    np.add.at(matrices[0], (first, second), 1.0)
    expected = agreement.cohen_kappa(first, second, quadratic=quadratic)
    assert agreement._kappas(matrices, quadratic) == pytest.approx([expected])


@pytest.mark.filterwarnings("error")
def test_kappa_without_items_or_with_one_grade_only_is_undefined_without_a_warning() -> None:
    nothing = np.array([], dtype=int)
    assert np.isnan(agreement.cohen_kappa(nothing, nothing))
    assert np.isnan(agreement.cohen_kappa(np.array([2, 2]), np.array([2, 2])))
    assert agreement.cohen_kappa(np.array([0, 0]), np.array([1, 1])) == 0.0


def test_the_rating_matrix_has_nan_where_there_is_no_grade() -> None:
    judges, items, ratings = agreement.rating_matrix([Vote(5, 2, 3), Vote(9, 1, 0)])
    assert (judges, items) == ([1, 2], [5, 9])
    assert np.array_equal(ratings, [[np.nan, 0], [3, np.nan]], equal_nan=True)


def test_the_medoid_is_the_answer_most_like_the_others() -> None:
    texts = ["The lion sleeps.", "Ask the keeper.", "The lion sleeps a lot."]
    index, similarity = agreement.medoid(texts)
    assert index in (0, 2) and similarity > 0.3
    assert agreement.medoid(["one"]) == (0, 1.0)
    with pytest.raises(ValueError):
        agreement.medoid([])


def test_dice_similarity_works_for_scripts_without_spaces() -> None:
    assert agreement.dice_similarity("狮子晚上打猎", "狮子晚上打猎。") > 0.8
    assert agreement.dice_similarity("", "") == 1.0
    assert agreement.dice_similarity("a", "") == 0.0


def test_the_vectorised_bootstrap_of_alpha_is_that_of_the_package_on_the_same_samples() -> None:
    rng = np.random.default_rng(3)
    ratings = rng.integers(0, 4, (4, 30)).astype(float)
    ratings[rng.random((4, 30)) < 0.4] = np.nan
    paired = ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]
    samples = np.random.default_rng(5).integers(0, paired.shape[1], (40, paired.shape[1]))
    expected = np.percentile([agreement.krippendorff_alpha(paired[:, items]) for items in samples], [2.5, 97.5])
    assert agreement.krippendorff_alpha_interval(ratings, resamples=40, seed=5) == pytest.approx(
        tuple(expected), abs=1e-12
    )


def test_the_interval_of_kappa_narrows_with_more_items_and_is_a_point_where_judges_always_agree() -> None:
    rng = np.random.default_rng(4)
    first = rng.integers(0, 4, 400)
    second = np.where(rng.random(400) < 0.7, first, rng.integers(0, 4, 400))
    few, many = (agreement.cohen_kappa_interval(first[:n], second[:n]) for n in (40, 400))
    assert many[0] < agreement.cohen_kappa(first, second) < many[1] and many[1] - many[0] < few[1] - few[0]
    assert agreement.cohen_kappa_interval(first, first) == (1.0, 1.0)
    assert np.isnan(agreement.cohen_kappa_interval(first[:0], second[:0])).all()
