"""Relevance states: which grade is relevant, which is judged not relevant, and how a consensus is rounded.

A person gives a whole grade: 0 not relevant, 1 related, 2 answers in part, 3 answers. The consensus of several
people may lie between two grades. One rule holds everywhere: a consensus counts as the nearest whole grade, and
half-way as the higher one. So the states follow from two borders, 0.5 and 1.5.

Half goes up because a consensus of 0.5 means that one of two people called the passage relevant. Such a passage must
not become a hard negative, and it has gain in nDCG. Grades are rounded to compare, export and show them. They are
never rounded where the consensus is a value in itself: as gain in nDCG, in the target distribution of a training, in
listwise exports.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

MIN_RELEVANT_GRADE = 1
MIN_ANSWER_GRADE = 2  # the passage holds the answer or a part of it

_HALF = 0.5
# The smallest consensus that is relevant, for a comparison over an array: nearest_grade(x) >= MIN_RELEVANT_GRADE.
RELEVANT_FROM = MIN_RELEVANT_GRADE - _HALF


class Relevance(StrEnum):
    """The three states of a passage for a query. Unjudged is never "not relevant"."""

    RELEVANT = "relevant"
    NOT_RELEVANT = "not_relevant"
    UNJUDGED = "unjudged"


def nearest_grade(consensus: float) -> int:
    """Return the whole grade nearest to a consensus; half-way counts as the higher grade (0.5 → 1, 2.5 → 3)."""
    return math.floor(consensus + _HALF)


def relevance(consensus: float | None) -> Relevance:
    """Return the relevance state of a consensus grade; None is unjudged."""
    if consensus is None:
        return Relevance.UNJUDGED
    is_relevant_grade = nearest_grade(consensus) >= MIN_RELEVANT_GRADE
    return Relevance.RELEVANT if is_relevant_grade else Relevance.NOT_RELEVANT


def is_relevant(consensus: float | None) -> bool:
    """Return whether the passage was judged relevant; False for None."""
    return relevance(consensus) is Relevance.RELEVANT


def is_judged_not_relevant(consensus: float | None) -> bool:
    """Return whether the passage was judged not relevant; False for None."""
    return relevance(consensus) is Relevance.NOT_RELEVANT


def has_relevant(grades: Iterable[float]) -> bool:
    """Return whether one of these consensus grades is relevant; False for no grade."""
    return any(is_relevant(grade) for grade in grades)


def min_positive_grade(grades: Iterable[float]) -> int:
    """Return the lowest whole grade of a positive passage among passages with these consensus grades.

    MIN_ANSWER_GRADE where a passage reaches it, so that a passage that is only related is neither positive nor
    negative. MIN_RELEVANT_GRADE where none does, as with grades that only say yes or no, and for no grade.
    """
    best = max((nearest_grade(grade) for grade in grades), default=0)
    return MIN_ANSWER_GRADE if best >= MIN_ANSWER_GRADE else MIN_RELEVANT_GRADE


def is_positive(consensus: float, min_grade: int) -> bool:
    """Return whether a passage counts as positive. min_grade: what `min_positive_grade` returns."""
    return nearest_grade(consensus) >= min_grade
