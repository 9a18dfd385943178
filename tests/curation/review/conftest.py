"""Shared by the tests of the review room: a person judges a query, and what is settled of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from django.contrib.auth.models import User

from curation.annotation import claims, judgements
from curation.models import Assignment, Project, Query, Review, SettledGrade

Wait = Callable[..., Query]
Judge = Callable[..., Assignment]


@pytest.fixture
def judge(project: Project) -> Judge:
    """A function: this person claims the query, gives these grades by rank, answers and submits."""

    def judge_query(
        query: Query, user: User, grades: Sequence[int | None], answer: str = "", flag: str = ""
    ) -> Assignment:
        claimed = claims.claim(query, user)
        shown = claimed.ranking.shown.order_by("rank").values_list("passage_id", flat=True)
        for passage_id, grade in zip(shown, grades, strict=True):
            judgements.record(claimed, passage_id, grade)
        if answer:
            judgements.write_answer(claimed, answer)
        if flag:
            judgements.flag(claimed, flag)
        return judgements.submit(claimed).assignment

    return judge_query


def settled(query: Query) -> list[tuple[float, str, int]]:
    """Return (grade, method, judges) of each settled passage, by rank."""
    rows = SettledGrade.objects.filter(review__query=query, review__state=Review.State.SETTLED)
    ranks = dict(query.rankings.get().shown.values_list("passage_id", "rank"))
    return [(row.grade, row.method, row.judges) for row in sorted(rows, key=lambda row: ranks[row.passage_id])]
