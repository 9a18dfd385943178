"""The review pages: names hidden until decided, one act each, and nobody in who may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from curation.annotation import claims, judgements
from curation.models import Assignment, Membership, Project, Query, Review, SettledGrade
from curation.review import adjudication
from retrieval.documents import ingest

Wait = Callable[..., Query]


@pytest.fixture
def dave(project: Project) -> User:
    user = User.objects.create_user("dave")
    Membership.objects.create(project=project, user=user, role=Membership.Role.ANNOTATOR)
    return user


@pytest.fixture
def review(wait: Wait, alice: User, dave: User) -> Review:
    """Alice and Dave three grades apart on the first passage, agreed on the others."""
    query = wait(overlap=2)
    for person, first in ((alice, 3), (dave, 0)):
        assignment = claims.claim(query, person)
        for passage_id in assignment.order:
            judgements.record(assignment, passage_id, first if passage_id == min(assignment.order) else 1)
        judgements.write_answer(assignment, f"It is the lion, says {first}.")
        judgements.submit(assignment)
    return Review.objects.waiting().get(query=query)


@pytest.fixture
def reviewer(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


def address(name: str, review: Review) -> str:
    return reverse(f"curation:{name}", args=[review.query.project.slug, review.pk])


def test_waiting_reviews_are_listed_with_the_reason(reviewer: Client, review: Review) -> None:
    html = reviewer.get(reverse("curation:reviews", args=["zoo"])).content.decode()
    assert "Who sleeps?" in html and "Annotators differ by 3 grades" in html


def test_names_are_hidden_until_decided(reviewer: Client, review: Review, bob: User) -> None:
    html = reviewer.get(address("review", review)).content.decode()
    assert "alice" not in html and "dave" not in html
    assert "It is the lion, says 3." in html and "It is the lion, says 0." in html
    assert "Consensus: 1 (median)" in html and "Consensus: 1.5 (median)" in html
    adjudication.resolve(review, bob, {}, "The lion.")
    html = reviewer.get(address("review", review)).content.decode()
    assert "alice" in html and "dave" in html


def test_a_reviewer_resolves_the_disputed_passage_and_keeps_the_consensus_elsewhere(
    reviewer: Client, review: Review, bob: User
) -> None:
    first = min(review.query.rankings.get().shown.values_list("passage_id", flat=True))
    fields = {f"grade-{first}": "2", "answer": "The lion.", "comment": "Both half right."}
    response = reviewer.post(address("resolve", review), fields)
    assert response["Location"] == reverse("curation:reviews", args=["zoo"])
    review.refresh_from_db()
    assert (review.state, review.reviewer, review.answer) == (Review.State.SETTLED, bob, "The lion.")
    grades = {row.passage_id: (row.grade, row.method) for row in review.grades.all()}
    assert grades.pop(first) == (2, "reviewer")
    assert set(grades.values()) == {(1, "median")}


def test_a_reviewer_sends_one_persons_work_back_with_a_comment(
    reviewer: Client, review: Review, alice: User, client: Client
) -> None:
    assignment = Assignment.objects.get(query=review.query, curator=alice)
    reviewer.post(address("send_back", review), {"assignment": assignment.pk, "comment": "Read the first again."})
    assignment.refresh_from_db()
    assert (assignment.state, assignment.comment) == (Assignment.State.CLAIMED, "Read the first again.")
    client.force_login(alice)
    assert "Read the first again." in client.get(reverse("curation:judge", args=["zoo"]), follow=True).content.decode()


@pytest.mark.parametrize("fields", [{}, {"assignment": "x", "comment": "Why."}, {"assignment": "1", "comment": ""}])
def test_sending_back_needs_an_assignment_and_a_comment(
    reviewer: Client, review: Review, fields: dict[str, str]
) -> None:
    response = reviewer.post(address("send_back", review), fields)
    assert response.status_code == 422 and "To send work back" in response.content.decode()
    review.refresh_from_db()
    assert review.state == Review.State.WAITING


def test_a_grade_outside_the_scale_is_refused(reviewer: Client, review: Review) -> None:
    first = min(review.query.rankings.get().shown.values_list("passage_id", flat=True))
    assert reviewer.post(address("resolve", review), {f"grade-{first}": "9"}).status_code == 422


def test_a_decided_review_is_not_decided_again(reviewer: Client, review: Review, bob: User, mona: User) -> None:
    adjudication.resolve(review, mona, {}, "The lion.")
    response = reviewer.post(address("resolve", review), {"answer": "The otter."}, follow=True)
    assert "decided already" in response.content.decode()
    review.refresh_from_db()
    assert review.answer == "The lion."


def test_a_settled_query_is_reopened(reviewer: Client, review: Review, bob: User) -> None:
    adjudication.resolve(review, bob, {}, "The lion.")
    reopened = reviewer.post(reverse("curation:reopen", args=["zoo", review.query_id]), {"comment": "New text."})
    fresh = Review.objects.waiting().get(query=review.query)
    assert reopened["Location"] == address("review", fresh)
    reviewer.post(reverse("curation:reopen", args=["zoo", review.query_id]), {})
    assert Review.objects.filter(query=review.query).count() == 2


def test_a_reviewer_grades_the_new_text_of_an_edited_passage(
    reviewer: Client, review: Review, bob: User, project: Project
) -> None:
    adjudication.resolve(review, bob, {}, "The lion.")
    ingest.ingest(project.corpus, [ingest.SourceDocument("lion", "Lion", "The lion never sleeps.")], whole=True)
    reopened = adjudication.reopen(review.query, bob, "The lion was edited.")
    page = reviewer.get(address("review", reopened)).content.decode()
    assert "this text is not judged yet" in page and "no longer in the corpus" in page
    lion = project.corpus.passages.active().get(external_id="lion")
    reviewer.post(address("resolve", reopened), {f"grade-{lion.pk}": "0", "answer": "The otter."})
    kept = SettledGrade.objects.filter(review=reopened, passage__retired_at=None)
    graded = {row.passage.external_id: (row.grade, row.method) for row in kept.select_related("passage")}
    assert graded == {"lion": (0, "reviewer"), "otter": (1, "median"), "snail": (1, "median")}


def test_a_reviewers_earlier_grade_stands_when_the_query_is_reopened(
    reviewer: Client, review: Review, bob: User
) -> None:
    first = min(review.query.rankings.get().shown.values_list("passage_id", flat=True))
    adjudication.resolve(review, bob, {first: 2}, "The lion.")
    reopened = adjudication.reopen(review.query, bob)
    assert "Earlier decision: 2" in reviewer.get(address("review", reopened)).content.decode()
    reviewer.post(address("resolve", reopened), {f"grade-{first}": "", "answer": "The lion."})
    assert reopened.grades.get(passage=first).grade == 2
    adjudication.reopen(review.query, bob)
    again = Review.objects.waiting().get(query=review.query)
    adjudication.resolve(again, bob, {first: 1}, "The lion.")
    assert again.grades.get(passage=first).grade == 1


def test_work_sent_back_goes_to_the_consensus_again(review: Review, bob: User) -> None:
    """A reviewer's earlier grades do not outlast work that was sent back."""
    first = min(review.query.rankings.get().shown.values_list("passage_id", flat=True))
    adjudication.resolve(review, bob, {first: 2}, "The lion.")
    reopened = adjudication.reopen(review.query, bob)
    assignment = Assignment.objects.submitted().filter(query=review.query).earliest("pk")
    adjudication.send_back(reopened, bob, assignment, "Look again.")
    assignment.refresh_from_db()
    judgements.submit(assignment)
    assert adjudication.earlier_decisions(Review.objects.waiting().get(query=review.query)) == {}


def test_a_reviewer_who_judges_the_query_does_not_see_its_review(reviewer: Client, review: Review, bob: User) -> None:
    Assignment.objects.filter(query=review.query, curator__username="dave").update(
        state=Assignment.State.CLAIMED, curator=bob
    )
    response = reviewer.get(address("review", review))
    assert response["Location"] == reverse("curation:reviews", args=["zoo"])


@pytest.mark.parametrize("name", ["review", "resolve", "send_back"])
def test_strangers_get_404_and_annotators_403(
    client: Client, carol: User, alice: User, review: Review, name: str
) -> None:
    send = client.get if name == "review" else client.post
    client.force_login(carol)
    assert send(address(name, review)).status_code == 404
    client.force_login(alice)
    assert send(address(name, review)).status_code == 403


@pytest.mark.parametrize(("name", "method"), [("review", "post"), ("resolve", "get"), ("send_back", "get")])
def test_the_wrong_method_is_refused(reviewer: Client, review: Review, name: str, method: str) -> None:
    assert getattr(reviewer, method)(address(name, review)).status_code == 405
