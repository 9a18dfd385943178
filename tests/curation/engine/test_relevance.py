"""The relevance states of a grade and of a consensus that lies between two grades."""

from __future__ import annotations

import subprocess
import sys

import pytest

from curation.engine.statistics import relevance
from curation.engine.statistics.relevance import Relevance


@pytest.mark.parametrize(
    ("consensus", "nearest", "state"),
    [
        (0.0, 0, Relevance.NOT_RELEVANT),
        (0.49, 0, Relevance.NOT_RELEVANT),
        (0.5, 1, Relevance.RELEVANT),  # floor(0.5 + 0.5): half-way counts as the higher grade
        (1.0, 1, Relevance.RELEVANT),
        (1.5, 2, Relevance.RELEVANT),
        (2.0, 2, Relevance.RELEVANT),
        (2.5, 3, Relevance.RELEVANT),  # Python's round gives 2: it takes the even neighbour
        (3.0, 3, Relevance.RELEVANT),
    ],
)
def test_a_consensus_counts_as_the_nearest_grade(consensus: float, nearest: int, state: Relevance) -> None:
    assert relevance.nearest_grade(consensus) == nearest
    assert relevance.relevance(consensus) is state
    assert relevance.is_relevant(consensus) is (state is Relevance.RELEVANT)
    assert relevance.is_judged_not_relevant(consensus) is (state is Relevance.NOT_RELEVANT)
    assert (consensus >= relevance.RELEVANT_FROM) is relevance.is_relevant(consensus)


def test_a_passage_without_a_grade_is_unjudged_and_neither_of_the_other_states() -> None:
    assert relevance.relevance(None) is Relevance.UNJUDGED
    assert not relevance.is_relevant(None)
    assert not relevance.is_judged_not_relevant(None)


@pytest.mark.parametrize(
    ("grades", "min_grade", "positive"),
    [
        ([3.0, 2.0, 1.0, 0.0], 2, [True, True, False, False]),
        ([1.5, 1.0, 0.5], 2, [True, False, False]),  # 1.5 counts as 2
        ([1.0, 0.5, 0.0], 1, [True, True, False]),  # no grade reaches 2
        ([1.4, 0.4], 1, [True, False]),
        ([0.4, 0.0], 1, [False, False]),
        ([], 1, []),
    ],
)
def test_positive_passages_answer_the_question_or_are_related_where_none_does(
    grades: list[float], min_grade: int, positive: list[bool]
) -> None:
    assert relevance.min_positive_grade(grades) == min_grade
    assert [relevance.is_positive(grade, min_grade) for grade in grades] == positive


def test_a_query_has_a_relevant_passage_from_half_a_grade_on() -> None:
    assert relevance.has_relevant([0.0, 0.5])
    assert not relevance.has_relevant([0.0, 0.49])
    assert not relevance.has_relevant([])


def test_the_rule_loads_no_library() -> None:
    code = (
        "import sys; import curation.engine.statistics.relevance; print({'django', 'numpy', 'torch'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
