"""Consensus: annotators who agree settle a query; the rest goes to a reviewer with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from django.contrib.auth.models import User

from curation.annotation import claims, judgements
from curation.core import labels
from curation.engine.statistics import agreement
from curation.models import Assignment, Judgement, Project, Query, Review, SettledGrade
from curation.review import consensus
from tests.curation.review.conftest import Judge, Wait, settled


def test_one_annotator_settles_a_query_with_overlap_1(alice: User, wait: Wait, judge: Judge) -> None:
    query = wait()
    judge(query, alice, [3, 0, None], "The lion.")
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and query.settled_at is not None
    assert settled(query) == [(3.0, "sole", 1), (0.0, "sole", 1)]  # can't tell stays unjudged
    assert query.reviews.get().answer == "The lion."


def test_two_annotators_who_nearly_agree_give_their_median(alice: User, bob: User, wait: Wait, judge: Judge) -> None:
    query = wait(overlap=2)
    judge(query, alice, [3, 0, 1])
    query.refresh_from_db()
    assert query.state == Query.State.OPEN and not query.reviews.exists()
    judge(query, bob, [2, 0, 1])
    assert settled(query) == [(2.5, "median", 2), (0.0, "median", 2), (1.0, "median", 2)]
    reliability = SettledGrade.objects.filter(review__query=query).values_list("reliability", flat=True)
    assert sorted(reliability) == pytest.approx([2 / 3, 1.0, 1.0])  # 1 - |3 - 2| / 3


def test_grades_two_apart_go_to_a_reviewer(alice: User, bob: User, wait: Wait, judge: Judge) -> None:
    query = wait(overlap=2)
    judge(query, alice, [3, 0, 1])
    judge(query, bob, [1, 0, 1])
    query.refresh_from_db()
    review = query.reviews.get()
    assert (query.state, review.state) == (Query.State.IN_REVIEW, Review.State.WAITING)
    assert labels.describe_reason(review) == "Annotators differ by 2 grades."
    assert not SettledGrade.objects.exists()


def test_the_project_sets_the_gap_that_goes_to_a_reviewer(
    project: Project, alice: User, bob: User, wait: Wait, judge: Judge
) -> None:
    Project.objects.update(review_gap=3)
    query = wait(overlap=2)
    judge(query, alice, [3, 0, 1])
    judge(query, bob, [1, 0, 1])
    assert settled(query)[0] == (2.0, "median", 2)


def test_three_annotators_give_a_dawid_skene_consensus(
    alice: User, bob: User, erin: User, wait: Wait, judge: Judge
) -> None:
    query = wait(overlap=3)
    judge(query, alice, [3, 0, 1])
    judge(query, bob, [3, 0, 1])
    judge(query, erin, [3, 0, 2])
    grades = settled(query)
    assert {method for _grade, method, _judges in grades} == {"dawid_skene"}
    assert [round(grade) for grade, _method, _judges in grades] == [3, 0, 1]


def test_a_flag_goes_to_a_reviewer_with_its_comment(alice: User, wait: Wait, judge: Judge) -> None:
    query = wait()
    judge(query, alice, [3, 0, 1], flag="two questions in one")
    assert labels.describe_reason(query.reviews.get()) == "Flagged: two questions in one"


def test_a_disagreement_about_no_answer_in_corpus_goes_to_a_reviewer(
    alice: User, bob: User, wait: Wait, judge: Judge
) -> None:
    query = wait(overlap=2)
    judge(query, alice, [1, 0, 1], "The lion.")
    claimed = claims.claim(query, bob)
    judgements.mark_unanswerable(claimed)
    judgements.submit(claimed)
    assert labels.describe_reason(query.reviews.get()) == "Some annotators say: no answer in corpus."


def test_different_answers_go_to_a_reviewer(alice: User, bob: User, wait: Wait, judge: Judge) -> None:
    query = wait(overlap=2)
    judge(query, alice, [1, 0, 1], "The lion, at night.")
    judge(query, bob, [1, 0, 1], "Every zebra.")
    assert labels.describe_reason(query.reviews.get()) == "The answers differ."


def test_the_context_of_a_consensus_is_limited_to_the_latest_settled_queries(
    project: Project, alice: User, bob: User, erin: User, wait: Wait, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consensus, "CONTEXT_QUERIES", 1)
    context_sizes: list[int] = []
    compute = agreement.consensus

    def spy(votes: Sequence[agreement.Vote], context: Sequence[agreement.Vote] = ()) -> object:
        context_sizes.append(len(context))
        return compute(votes, context)

    monkeypatch.setattr(agreement, "consensus", spy)
    for _query in range(3):
        query = wait(overlap=3)
        for person in (alice, bob, erin):
            judge(query, person, [3, 0, 1])
    assert context_sizes == [0, 9, 9]  # three grades by three people of one query, however many are settled


def test_settling_many_queries_takes_as_many_statements_as_settling_one(
    project: Project, alice: User, wait: Wait, django_assert_max_num_queries: Callable[..., object]
) -> None:
    queries = [wait() for _number in range(12)]
    for query in queries:
        claimed = claims.claim(query, alice)
        Judgement.objects.bulk_create(
            Judgement(assignment=claimed, query=query, passage_id=pk, curator=alice, grade=1) for pk in claimed.order
        )
        Assignment.objects.filter(pk=claimed.pk).update(state=Assignment.State.SUBMITTED)
    with django_assert_max_num_queries(10):
        reviews = consensus.settle_complete(project, queries)
    assert len(reviews) == 12 and SettledGrade.objects.count() == 36
