"""How far people agree, and the one grade that several of them amount to.

Grades are 0–3 and ordered. A missing grade (unjudged, or can't tell) is NaN where a matrix needs a cell and
absent everywhere else: it is never a 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRADES = 4  # 0, 1, 2, 3
MOST_APART = GRADES - 1
_LEAST = 1e-10  # keeps logarithms finite

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# What is believed of a judge before anything is known of them: as if they had been seen on eight passages of every
# true grade and had mostly been right, erring to a neighbour. Without it, ten passages by three people are too
# few for a confusion matrix, and EM declares whoever differs a liar.
PRIOR: Floats = 8.0 * np.array(
    [
        [0.76, 0.12, 0.02, 0.02],
        [0.18, 0.70, 0.14, 0.04],
        [0.04, 0.14, 0.70, 0.18],
        [0.02, 0.04, 0.14, 0.76],
    ]
)  # (given, true): pseudo-counts


@dataclass(frozen=True)
class Vote:
    """One grade by one judge of one item."""

    item: int
    judge: int
    grade: int


@dataclass(frozen=True)
class Consensus:
    """What the votes on an item amount to.

    grade: 0–3, may lie between. reliability: 0–1. method: sole, median or dawid_skene. gap: largest difference
    between two votes.
    """

    grade: float
    reliability: float
    judges: int
    method: str
    gap: int


def consensus(votes: Sequence[Vote], context: Sequence[Vote] = ()) -> dict[int, Consensus]:
    """Each item's consensus: one vote stands, two give their median, three and more a Dawid–Skene posterior.

    The grade of three and more is the expectation over the posterior, its reliability the posterior's peak; that
    of two is 1 - |difference| / 3. context: votes on other items, from which the judges are known better; it
    gets no consensus of its own.
    """
    by_item: dict[int, list[Vote]] = {}
    for vote in votes:
        by_item.setdefault(vote.item, []).append(vote)
    found = {item: _few(given) for item, given in by_item.items() if len(given) < 3}
    many = {item: given for item, given in by_item.items() if len(given) >= 3}
    if many:
        flat = [vote for given in many.values() for vote in given]
        posterior = _posterior(flat, [vote for vote in context if vote.item not in by_item])
        for item, given in many.items():
            found[item] = Consensus(
                grade=float(posterior[item] @ np.arange(GRADES)),
                reliability=float(posterior[item].max()),
                judges=len(given),
                method="dawid_skene",
                gap=_gap(given),
            )
    return found


def dawid_skene(
    items: Ints, judges: Ints, grades: Ints, *, prior: Floats | None = None, rounds: int = 100, tolerance: float = 1e-5
) -> Floats:
    """(n, 4) posterior of the true grade of each item, by EM.

    items, judges: (votes,) numbered from 0 without holes; grades: (votes,) 0–3. Dawid & Skene 1979
    (doi:10.2307/2346806), started from vote shares and stopped when the evidence bound per vote gains less than
    `tolerance`. prior: (given, true) pseudo-counts added to every judge's confusion counts in each M-step, and
    one pseudo-item of each grade; we differ there, for small data. Without it the result is crowd-kit's
    `DawidSkene` (a test compares them), some hundred times faster on the few votes of one query.
    """
    present = np.unique(grades) if prior is None else np.arange(GRADES)
    given = np.searchsorted(present, grades)
    size = len(present)
    believed = np.zeros((size, size)) if prior is None else prior
    items_believed = 0.0 if prior is None else 1.0
    counts = np.zeros((int(items.max()) + 1, size))
    np.add.at(counts, (items, given), 1.0)
    posterior = counts / counts.sum(axis=1, keepdims=True)  # (items, true)
    bound = -np.inf
    for _round in range(rounds + 1):
        share = (posterior.sum(axis=0) + items_believed) / (len(posterior) + size * items_believed)
        errors = _errors(judges, given, posterior[items], believed)
        if _round:
            gained = _bound(items, judges, given, posterior, share, errors)
            gained += (float((believed * np.log(errors)).sum()) + items_believed * float(_log(share).sum())) / len(
                items
            )
            if gained - bound < tolerance:
                break
            bound = gained
        likelihood = np.tile(_log(share), (len(posterior), 1))
        np.add.at(likelihood, items, np.log(errors)[judges, given])
        posterior = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
    full = np.zeros((len(posterior), GRADES))
    full[:, present] = posterior
    return full


def alpha(ratings: Floats) -> float:
    """Krippendorff's α with ordinal distance; NaN where it is undefined (no pair, or one value only).

    ratings: (judges, items), NaN = no grade. Krippendorff 2011, Computing Krippendorff's Alpha-Reliability; by
    the `krippendorff` package.
    """
    import krippendorff

    paired = ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]
    if not paired.size or len(np.unique(paired[~np.isnan(paired)])) < 2:
        return float("nan")
    return float(krippendorff.alpha(paired, level_of_measurement="ordinal", value_domain=list(range(GRADES))))


def alpha_interval(ratings: Floats, *, resamples: int = 500, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap of α over items; NaNs where α is undefined.

    Each item's coincidences are counted once and weighted by how often a resample draws it: hundreds of α then cost
    one matrix product, where the package would count them all anew.
    """
    paired = ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]
    if not paired.size:
        return float("nan"), float("nan")
    count = paired.shape[1]
    drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
    flat = (drawn + np.arange(resamples)[:, None] * count).ravel()
    times = np.bincount(flat, minlength=resamples * count).reshape(resamples, count)  # how often each item is drawn
    return _middle_95(_alphas((times @ _coincidences(paired)).reshape(resamples, GRADES, GRADES)))


def _coincidences(paired: Floats) -> Floats:
    """(items, 16) coincidence counts of each item: its ordered pairs of grades, over one less than its judges."""
    given = np.stack([(paired == grade).sum(axis=0) for grade in range(GRADES)], axis=1).astype(float)
    pairs = given[:, :, None] * given[:, None, :] - given[:, :, None] * np.eye(GRADES)
    found: Floats = (pairs / (given.sum(axis=1) - 1)[:, None, None]).reshape(len(given), -1)
    return found


def _alphas(coincidences: Floats) -> Floats:
    """(n,) ordinal α of (n, 4, 4) coincidence matrices; NaN where only one grade was given."""
    totals = coincidences.sum(axis=2)  # (n, 4) how often each grade was given
    below = np.cumsum(totals, axis=1)
    inside = below[:, None, :] - below[:, :, None] + (totals[:, :, None] - totals[:, None, :]) / 2
    distance = inside**2  # grades between the two, the ends by half, squared: (n, 4, 4)
    everything = totals.sum(axis=1)
    seen = (coincidences * distance).sum(axis=(1, 2))
    chance = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2)) / (everything - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 0, 1 - seen / chance, np.nan)


def _middle_95(drawn: Floats) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def kappa(first: Ints, second: Ints, *, quadratic: bool = True) -> float:
    """Cohen's κ of two judges on the items both graded; NaN where both always gave one and the same grade.

    first, second: (n,) grades 0–3. Weights (i - j)² after Cohen 1968 (doi:10.1037/h0026256), or plain 0/1.
    """
    if not len(first):
        return float("nan")
    return float(_kappas(_confusion(first, second)[None], quadratic)[0])


def kappa_interval(
    first: Ints, second: Ints, *, quadratic: bool = True, resamples: int = 500, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile bootstrap of κ over items, which is a multinomial draw of the cells; NaNs where undefined."""
    if not len(first):
        return float("nan"), float("nan")
    cells = _confusion(first, second).ravel()
    drawn = np.random.default_rng(seed).multinomial(len(first), cells / cells.sum(), resamples)
    return _middle_95(_kappas(drawn.reshape(resamples, GRADES, GRADES).astype(float), quadratic))


def _confusion(first: Ints, second: Ints) -> Floats:
    seen = np.zeros((GRADES, GRADES))
    np.add.at(seen, (first, second), 1.0)
    return seen


def _kappas(seen: Floats, quadratic: bool) -> Floats:
    """(n,) κ of (n, 4, 4) counts of (first, second)."""
    totals = seen.sum(axis=(1, 2))
    expected = seen.sum(axis=2)[:, :, None] * seen.sum(axis=1)[:, None, :] / totals[:, None, None]
    apart = np.subtract.outer(np.arange(GRADES), np.arange(GRADES))
    weights = (apart**2 if quadratic else apart != 0).astype(float)
    chance = (weights * expected).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 0, 1.0 - (weights * seen).sum(axis=(1, 2)) / chance, np.nan)


def matrix(votes: Sequence[Vote]) -> tuple[list[int], list[int], Floats]:
    """The judges, the items and their (judges, items) matrix of grades, NaN = no grade."""
    judges = sorted({vote.judge for vote in votes})
    items = sorted({vote.item for vote in votes})
    row, column = {judge: n for n, judge in enumerate(judges)}, {item: n for n, item in enumerate(items)}
    ratings = np.full((len(judges), len(items)), np.nan)
    for vote in votes:
        ratings[row[vote.judge], column[vote.item]] = vote.grade
    return judges, items, ratings


def similarity(first: str, second: str) -> float:
    """Dice coefficient of the character pairs of two texts, in [0, 1]; two empty texts are alike."""
    one, two = _pairs(first), _pairs(second)
    if not one and not two:
        return 1.0
    return 2 * len(one & two) / (len(one) + len(two))


def medoid(texts: Sequence[str]) -> tuple[int, float]:
    """Place of the text most like the others, and its mean similarity to them; the first among equals.

    One text alone is (0, 1.0). Raises ValueError for none.
    """
    if not texts:
        raise ValueError("no text to choose from")
    if len(texts) == 1:
        return 0, 1.0
    means = [
        sum(similarity(text, other) for place, other in enumerate(texts) if place != own) / (len(texts) - 1)
        for own, text in enumerate(texts)
    ]
    best = int(np.argmax(means))
    return best, means[best]


def _few(given: Sequence[Vote]) -> Consensus:
    grades = [vote.grade for vote in given]
    gap = _gap(given)
    method = "sole" if len(given) == 1 else "median"
    return Consensus(float(np.median(grades)), 1.0 - gap / MOST_APART, len(given), method, gap)


def _gap(given: Sequence[Vote]) -> int:
    grades = [vote.grade for vote in given]
    return max(grades) - min(grades)


def _posterior(votes: Sequence[Vote], context: Sequence[Vote]) -> dict[int, Floats]:
    everything = [*votes, *context]
    items, item_of = np.unique([vote.item for vote in everything], return_inverse=True)
    _judges, judge_of = np.unique([vote.judge for vote in everything], return_inverse=True)
    grades = np.array([vote.grade for vote in everything])
    rows = dawid_skene(item_of, judge_of, grades, prior=PRIOR, rounds=30, tolerance=1e-4)
    return dict(zip(items.tolist(), rows, strict=True))


def _errors(judges: Ints, given: Ints, weights: Floats, prior: Floats) -> Floats:
    """(judges, given, true) probability that the judge gives a grade when another is true."""
    classes = weights.shape[1]
    counts = np.zeros((int(judges.max()) + 1, classes, classes))
    np.add.at(counts, (judges, given), weights)
    counts = (counts + prior).clip(_LEAST)
    normal: Floats = counts / counts.sum(axis=1, keepdims=True)
    return normal


def _log(shares: Floats) -> Floats:
    found: Floats = np.log(shares.clip(_LEAST))
    return found


def _bound(items: Ints, judges: Ints, given: Ints, posterior: Floats, share: Floats, errors: Floats) -> float:
    """The evidence lower bound per vote, with crowd-kit's convention of one prior term a vote."""
    logs = np.log(errors)[judges, given] + _log(share)
    expectation = float((posterior[items] * logs).sum())
    kept = posterior.clip(_LEAST)
    return (expectation - float((np.log(kept) * kept).sum())) / len(items)


def _pairs(text: str) -> set[Any]:
    letters = "".join(text.casefold().split())
    return {letters} if len(letters) == 1 else {letters[n : n + 2] for n in range(len(letters) - 1)}
