"""Inter-annotator agreement (Krippendorff's alpha, Cohen's kappa) and the Dawid–Skene consensus of several grades.

Grades are 0–3 and ordered. A missing grade (unjudged, or can't tell) is NaN where a matrix needs a cell and absent
everywhere else: it is never a 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRADE_COUNT = 4  # 0, 1, 2, 3
MAX_GRADE = GRADE_COUNT - 1
_MIN_PROBABILITY = 1e-10  # keeps logarithms finite

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Pseudo-counts of a judge's confusion matrix: as if each had been seen on eight passages of every true grade and had
# mostly been right, with errors to a neighbouring grade. Without it, ten passages by three people are too few for a
# confusion matrix, and EM distrusts everybody who differs.
CONFUSION_PRIOR: Floats = 8.0 * np.array(
    [
        [0.76, 0.12, 0.02, 0.02],
        [0.18, 0.70, 0.14, 0.04],
        [0.04, 0.14, 0.70, 0.18],
        [0.02, 0.04, 0.14, 0.76],
    ]
)  # (observed, true)


@dataclass(frozen=True)
class Vote:
    """One grade by one judge of one item."""

    item: int
    judge: int
    grade: int


@dataclass(frozen=True)
class Consensus:
    """The consensus grade of the votes on one item.

    grade: 0–3, may lie between two grades. reliability: 0–1. judges: how many voted. method: sole, median or
    dawid_skene. gap: largest difference between two votes.
    """

    grade: float
    reliability: float
    judges: int
    method: str
    gap: int


def consensus(votes: Sequence[Vote], context: Sequence[Vote] = ()) -> dict[int, Consensus]:
    """Return the consensus of each item: one vote stands, two give their median, more a Dawid–Skene posterior.

    The grade of three and more votes is the expectation over the posterior, its reliability the posterior's peak;
    the reliability of two is 1 - |difference| / 3. context: votes on other items, which tell how reliable the
    judges are; they get no consensus of their own. No votes give an empty dict.
    """
    by_item: dict[int, list[Vote]] = {}
    for vote in votes:
        by_item.setdefault(vote.item, []).append(vote)
    by_median = {item: _median_consensus(own) for item, own in by_item.items() if len(own) < 3}
    modelled = {item: own for item, own in by_item.items() if len(own) >= 3}
    if not modelled:
        return by_median
    context = [vote for vote in context if vote.item not in by_item]
    posterior = _posterior([vote for own in modelled.values() for vote in own], context)
    return by_median | {item: _expected_consensus(own, posterior[item]) for item, own in modelled.items()}


def dawid_skene(
    items: Ints,
    judges: Ints,
    grades: Ints,
    *,
    prior: Floats | None = None,
    max_iterations: int = 100,
    tolerance: float = 1e-5,
) -> Floats:
    """Return the (n, 4) posterior of the true grade of each item, by Dawid–Skene EM.

    items, judges: (votes,) numbered from 0 without holes; grades: (votes,) 0–3. Dawid & Skene 1979
    (doi:10.2307/2346806), started from vote shares and stopped when the evidence bound per vote gains less than
    `tolerance`. prior: (observed, true) pseudo-counts added to every judge's confusion counts in each M-step, and
    one pseudo-item of each grade. This is a difference to the paper, for small data. Without it the result is
    crowd-kit's `DawidSkene` (a test compares them), some hundred times faster on the few votes of one query.
    """
    classes = np.unique(grades) if prior is None else np.arange(GRADE_COUNT)
    counts = prior if prior is not None else np.zeros((len(classes), len(classes)))
    model = _DawidSkene(items, judges, np.searchsorted(classes, grades), counts, 0.0 if prior is None else 1.0)
    posterior = model.vote_shares()
    bound = -np.inf
    for iteration in range(max_iterations + 1):
        class_shares, confusion = model.m_step(posterior)
        if iteration:
            gained = model.evidence_bound(posterior, class_shares, confusion)
            if gained - bound < tolerance:
                break
            bound = gained
        posterior = model.e_step(len(posterior), class_shares, confusion)
    over_all_grades = np.zeros((len(posterior), GRADE_COUNT))
    over_all_grades[:, classes] = posterior
    return over_all_grades


@dataclass(frozen=True)
class _DawidSkene:
    """The votes of one EM run; grades are numbered within the classes that occur.

    items, judges, observed: (votes,). prior: (observed, true) pseudo-counts. pseudo_items: of each true class.
    """

    items: Ints
    judges: Ints
    observed: Ints
    prior: Floats
    pseudo_items: float

    def vote_shares(self) -> Floats:
        """Return (items, true) shares of the votes, the start of EM."""
        counts = np.zeros((int(self.items.max()) + 1, len(self.prior)))
        np.add.at(counts, (self.items, self.observed), 1.0)
        shares: Floats = counts / counts.sum(axis=1, keepdims=True)
        return shares

    def m_step(self, posterior: Floats) -> tuple[Floats, Floats]:
        """Return the (true,) class shares and the (judges, observed, true) confusion matrices."""
        size = len(self.prior)
        class_shares = (posterior.sum(axis=0) + self.pseudo_items) / (len(posterior) + size * self.pseudo_items)
        counts = np.zeros((int(self.judges.max()) + 1, size, size))
        np.add.at(counts, (self.judges, self.observed), posterior[self.items])
        counts = (counts + self.prior).clip(_MIN_PROBABILITY)
        return class_shares, counts / counts.sum(axis=1, keepdims=True)

    def e_step(self, item_count: int, class_shares: Floats, confusion: Floats) -> Floats:
        """Return the (items, true) posterior of the true grades."""
        log_likelihood = np.tile(_log(class_shares), (item_count, 1))
        np.add.at(log_likelihood, self.items, np.log(confusion)[self.judges, self.observed])
        posterior: Floats = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        return posterior

    def evidence_bound(self, posterior: Floats, class_shares: Floats, confusion: Floats) -> float:
        """Return the evidence lower bound per vote, with crowd-kit's convention of one prior term a vote."""
        logs = np.log(confusion)[self.judges, self.observed] + _log(class_shares)
        expectation = float((posterior[self.items] * logs).sum())
        clipped = posterior.clip(_MIN_PROBABILITY)
        bound = (expectation - float((np.log(clipped) * clipped).sum())) / len(self.items)
        prior_term = float((self.prior * np.log(confusion)).sum()) + self.pseudo_items * float(_log(class_shares).sum())
        return bound + prior_term / len(self.items)


def krippendorff_alpha(ratings: Floats) -> float:
    """Krippendorff's alpha with ordinal distance; NaN where it is undefined (no pair, or one value only).

    ratings: (judges, items), NaN = no grade. Krippendorff 2011, Computing Krippendorff's Alpha-Reliability; by
    the `krippendorff` package.
    """
    import krippendorff

    paired = _paired(ratings)
    if not paired.size or len(np.unique(paired[~np.isnan(paired)])) < 2:
        return float("nan")
    return float(krippendorff.alpha(paired, level_of_measurement="ordinal", value_domain=list(range(GRADE_COUNT))))


def krippendorff_alpha_interval(ratings: Floats, *, resamples: int = 500, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of Krippendorff's alpha over items; NaNs where alpha is undefined.

    ratings: (judges, items), NaN = no grade. Each item's coincidences are counted once and weighted by how often a
    resample holds it: hundreds of alphas then cost one matrix product, where the package would count them all anew.
    """
    paired = _paired(ratings)
    if not paired.size:
        return float("nan"), float("nan")
    count = paired.shape[1]
    samples = np.random.default_rng(seed).integers(0, count, (resamples, count))
    flat = (samples + np.arange(resamples)[:, None] * count).ravel()
    times = np.bincount(flat, minlength=resamples * count).reshape(resamples, count)  # how often each item is in one
    coincidences = (times @ _coincidences(paired)).reshape(resamples, GRADE_COUNT, GRADE_COUNT)
    return _percentile_interval(_ordinal_alphas(coincidences))


def cohen_kappa(first: Ints, second: Ints, *, quadratic: bool = True) -> float:
    """Cohen's kappa of two judges on the items both graded; NaN where both always gave one and the same grade.

    first, second: (n,) grades 0–3; NaN for n = 0. Weights (i - j)² after Cohen 1968 (doi:10.1037/h0026256), or
    plain 0/1. By scikit-learn, which raises an error for n = 0 and warns where kappa is undefined.
    """
    from sklearn.metrics import cohen_kappa_score

    if len(np.union1d(first, second)) < 2:
        return float("nan")
    weights = "quadratic" if quadratic else None
    return float(cohen_kappa_score(first, second, labels=list(range(GRADE_COUNT)), weights=weights))


def cohen_kappa_interval(
    first: Ints, second: Ints, *, quadratic: bool = True, resamples: int = 500, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of Cohen's kappa over items; NaNs where kappa is undefined.

    A resample of items is a multinomial sample of the confusion matrix's cells. All kappas are computed at once:
    one call of scikit-learn for each of 500 resamples takes 360 times as long (200 items).
    """
    if not len(first):
        return float("nan"), float("nan")
    cells = np.zeros((GRADE_COUNT, GRADE_COUNT))
    np.add.at(cells, (first, second), 1.0)
    samples = np.random.default_rng(seed).multinomial(len(first), cells.ravel() / cells.sum(), resamples)
    matrices = samples.reshape(resamples, GRADE_COUNT, GRADE_COUNT).astype(float)
    return _percentile_interval(_kappas(matrices, quadratic))


def rating_matrix(votes: Sequence[Vote]) -> tuple[list[int], list[int], Floats]:
    """Return the judges, the items and their (judges, items) matrix of grades, NaN = no grade."""
    judges = sorted({vote.judge for vote in votes})
    items = sorted({vote.item for vote in votes})
    row_of, column_of = {judge: n for n, judge in enumerate(judges)}, {item: n for n, item in enumerate(items)}
    ratings = np.full((len(judges), len(items)), np.nan)
    for vote in votes:
        ratings[row_of[vote.judge], column_of[vote.item]] = vote.grade
    return judges, items, ratings


def dice_similarity(first: str, second: str) -> float:
    """Return the Dice coefficient of the character bigrams of two texts, in [0, 1]; 1 for two empty texts.

    Case and white space do not count. Characters, not words: Chinese has no spaces.
    """
    first_bigrams, second_bigrams = _bigrams(first), _bigrams(second)
    if not first_bigrams and not second_bigrams:
        return 1.0
    return 2 * len(first_bigrams & second_bigrams) / (len(first_bigrams) + len(second_bigrams))


def medoid(texts: Sequence[str]) -> tuple[int, float]:
    """Return the index of the text most like the others, and its mean similarity to them; the first among equals.

    One text alone is (0, 1.0). Raises ValueError for none.
    """
    if not texts:
        raise ValueError("no text to choose from")
    if len(texts) == 1:
        return 0, 1.0
    means = [
        sum(dice_similarity(text, other) for index, other in enumerate(texts) if index != own) / (len(texts) - 1)
        for own, text in enumerate(texts)
    ]
    best = int(np.argmax(means))
    return best, means[best]


def _median_consensus(votes: Sequence[Vote]) -> Consensus:
    gap = _gap(votes)
    method = "sole" if len(votes) == 1 else "median"
    median = float(np.median([vote.grade for vote in votes]))
    return Consensus(median, 1.0 - gap / MAX_GRADE, len(votes), method, gap)


def _expected_consensus(votes: Sequence[Vote], posterior: Floats) -> Consensus:
    expected = float(posterior @ np.arange(GRADE_COUNT))
    return Consensus(expected, float(posterior.max()), len(votes), "dawid_skene", _gap(votes))


def _gap(votes: Sequence[Vote]) -> int:
    grades = [vote.grade for vote in votes]
    return max(grades) - min(grades)


def _posterior(votes: Sequence[Vote], context: Sequence[Vote]) -> dict[int, Floats]:
    """Return item → (4,) posterior of its true grade, of the items of the context too."""
    all_votes = [*votes, *context]
    items, item_of = np.unique([vote.item for vote in all_votes], return_inverse=True)
    _judges, judge_of = np.unique([vote.judge for vote in all_votes], return_inverse=True)
    grades = np.array([vote.grade for vote in all_votes])
    rows = dawid_skene(item_of, judge_of, grades, prior=CONFUSION_PRIOR, max_iterations=30, tolerance=1e-4)
    return dict(zip(items.tolist(), rows, strict=True))


def _log(shares: Floats) -> Floats:
    logs: Floats = np.log(shares.clip(_MIN_PROBABILITY))
    return logs


def _paired(ratings: Floats) -> Floats:
    """Return the columns of the items that at least two judges graded: the others tell nothing of agreement."""
    return ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]


def _coincidences(paired: Floats) -> Floats:
    """Return (items, 16) coincidences: the ordered pairs of grades of each item, over one less than its judges."""
    counts = np.stack([(paired == grade).sum(axis=0) for grade in range(GRADE_COUNT)], axis=1).astype(float)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(GRADE_COUNT)
    coincidences: Floats = (pairs / (counts.sum(axis=1) - 1)[:, None, None]).reshape(len(counts), -1)
    return coincidences


def _ordinal_alphas(coincidences: Floats) -> Floats:
    """Return (n,) ordinal alphas of (n, 4, 4) coincidence matrices; NaN where only one grade was given."""
    totals = coincidences.sum(axis=2)  # (n, 4) how often each grade was given
    cumulative = np.cumsum(totals, axis=1)
    between = cumulative[:, None, :] - cumulative[:, :, None] + (totals[:, :, None] - totals[:, None, :]) / 2
    distance = between**2  # grades between the two, the ends by half, squared: (n, 4, 4)
    sums = totals.sum(axis=1)
    observed = (coincidences * distance).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2)) / (sums - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)


def _kappas(matrices: Floats, quadratic: bool) -> Floats:
    """Return (n,) kappas of (n, 4, 4) counts of (first, second)."""
    totals = matrices.sum(axis=(1, 2))
    by_chance = matrices.sum(axis=2)[:, :, None] * matrices.sum(axis=1)[:, None, :] / totals[:, None, None]
    differences = np.subtract.outer(np.arange(GRADE_COUNT), np.arange(GRADE_COUNT))
    weights = (differences**2 if quadratic else differences != 0).astype(float)
    expected = (weights * by_chance).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1.0 - (weights * matrices).sum(axis=(1, 2)) / expected, np.nan)


def _percentile_interval(values: Floats) -> tuple[float, float]:
    defined = values[~np.isnan(values)]
    if not defined.size:
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def _bigrams(text: str) -> set[str]:
    letters = "".join(text.casefold().split())
    return {letters} if len(letters) == 1 else {letters[start : start + 2] for start in range(len(letters) - 1)}
