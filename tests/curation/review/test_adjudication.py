"""Adjudication: a reviewer resolves, sends work back, or reopens a settled query."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from curation.annotation import claims, judgements, leases
from curation.core import labels
from curation.models import Project, Query, Review
from curation.review import adjudication
from tests.curation.review.conftest import Judge, Wait, settled


def test_a_reviewer_resolves_and_passages_left_out_keep_the_consensus(
    alice: User, bob: User, erin: User, wait: Wait, judge: Judge
) -> None:
    query = wait(overlap=2)
    judge(query, alice, [3, 0, 1])
    judge(query, erin, [1, 0, 1])
    review = query.reviews.get()
    disputed = query.rankings.get().shown.get(rank=1).passage_id
    resolved = adjudication.resolve(review, bob, {disputed: 2}, "The lion.", comment="half of it", key="r1")
    assert adjudication.resolve(review, bob, {disputed: 3}, key="r1") == resolved
    assert settled(query) == [(2.0, "reviewer", 3), (0.0, "median", 2), (1.0, "median", 2)]
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and (resolved.answer, resolved.reviewer) == ("The lion.", bob)
    with pytest.raises(adjudication.AlreadyDecided):
        adjudication.resolve(review, bob, {disputed: 0})


def test_work_sent_back_returns_with_the_comment_and_its_submit_computes_the_consensus_again(
    project: Project, alice: User, bob: User, erin: User, wait: Wait, judge: Judge
) -> None:
    query = wait(overlap=2)
    first = judge(query, alice, [3, 0, 1])
    judge(query, erin, [1, 0, 1])
    adjudication.send_back(query.reviews.get(), bob, first, "Read passage one again.")
    query.refresh_from_db()
    assert query.state == Query.State.OPEN
    returned = claims.claim_next(project, alice)
    assert returned == first and returned.comment == "Read passage one again." and returned.lease_until is None
    assert leases.expire_overdue() == 0  # it waits for its annotator
    judgements.record(returned, query.rankings.get().shown.get(rank=1).passage_id, 1)
    judgements.submit(returned)
    assert settled(query)[0] == (1.0, "median", 2)
    assert [review.state for review in query.reviews.order_by("pk")] == ["returned", "settled"]


def test_work_of_another_query_cannot_be_sent_back(
    alice: User, bob: User, erin: User, wait: Wait, judge: Judge
) -> None:
    one, other = wait(overlap=2), wait()
    judge(one, alice, [3, 0, 1])
    judge(one, erin, [0, 0, 1])
    theirs = judge(other, alice, [1, 1, 1])
    with pytest.raises(adjudication.NotReturnable):
        adjudication.send_back(one.reviews.get(), bob, theirs, "no")
    assert one.reviews.get().state == Review.State.WAITING


def test_a_reviewer_reopens_a_settled_query_and_the_old_review_stays(
    alice: User, bob: User, wait: Wait, judge: Judge
) -> None:
    query = wait()
    judge(query, alice, [3, 0, 1], "The lion.")
    with_settled = query.reviews.get()
    review = adjudication.reopen(query, bob, "the page has changed")
    with_settled.refresh_from_db()
    assert (with_settled.state, with_settled.grades.count()) == (Review.State.REOPENED, 3)
    assert (review.state, review.answer) == (Review.State.WAITING, "The lion.")
    assert labels.describe_reason(review) == "Reopened: the page has changed"
    query.refresh_from_db()
    assert query.state == Query.State.IN_REVIEW and query.settled_at is None
    with pytest.raises(adjudication.NotSettled):
        adjudication.reopen(query, bob)
