"""Gold questions: settled queries with known grades measure annotators."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client

from curation.annotation import claims, judgements
from curation.models import Event, Project, Query, Review
from curation.review import gold
from tests.curation.review.conftest import Judge, Wait


def test_a_settled_query_can_become_a_gold_question(
    alice: User, bob: User, wait: Wait, judge: Judge, project: Project
) -> None:
    query = wait()
    judge(query, alice, [3, 0, 1])
    gold.mark(query, bob)
    project.gold_rate = 1.0
    claimed = claims.claim_next(project, bob)
    assert claimed is not None and claimed.query == query
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, int(query.gold[str(passage_id)]))
    judgements.submit(claimed)
    assert Event.objects.filter(verb="submitted").latest("pk").data["gold"] == {"known": 3, "right": 3, "near": 3}
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and query.reviews.count() == 1


def test_a_gold_question_holds_the_nearest_grade_of_each_consensus(alice: User, wait: Wait, judge: Judge) -> None:
    query = wait()
    judge(query, alice, [3, 0, 1])
    grades = Review.objects.current().get(query=query).grades.order_by("passage_id")
    for row, consensus_grade in zip(grades, [0.5, 1.5, 0.4], strict=True):
        grades.filter(pk=row.pk).update(grade=consensus_grade)
    gold.mark(query)
    assert query.gold is not None
    assert [grade for _passage, grade in sorted(query.gold.items(), key=lambda item: int(item[0]))] == [1, 2, 0]


def test_a_manager_makes_a_gold_question_of_a_settled_query_and_an_ordinary_query_again(
    client: Client, project: Project, wait: Wait, alice: User, mona: User
) -> None:
    query = wait()
    client.force_login(mona)
    url = f"/p/zoo/queries/{query.pk}/gold/"
    assert "Only a resolved query" in client.post(url, follow=True).text
    assignment = claims.claim(query, alice)
    for passage_id in assignment.order:
        judgements.record(assignment, passage_id, 1)
    judgements.submit(assignment)
    assert "Make it an ordinary query" in client.post(url, follow=True).text
    query.refresh_from_db()
    assert set(query.gold.values()) == {1}
    client.post(url)
    query.refresh_from_db()
    assert query.gold is None
