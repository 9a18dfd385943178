"""What serves, what could, and the two acts on it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.core import labels
from curation.models import Assignment, Event, Project, Query, Release, Review
from curation.releases import evaluation_report, lifecycle
from retrieval.models import IndexBuild
from tests.measured import challenge

PATHS = ["releases/", "releases/1/", "releases/1/promote/", "releases/roll-back/"]


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_finds_nothing(client: Client, carol: User, release: Release, path: str) -> None:
    client.force_login(carol)
    assert client.get(f"/p/zoo/{path}").status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_a_curator_is_told_that_the_role_is_too_low(client: Client, alice: User, release: Release, path: str) -> None:
    client.force_login(alice)
    answer = client.get(f"/p/zoo/{path}")
    assert answer.status_code == 403
    assert "Not for your role" in answer.text


def test_an_engineer_reads_but_does_not_switch(client: Client, erin: User, release: Release) -> None:
    challenge(release)
    client.force_login(erin)
    assert "Promote" not in client.get("/p/zoo/releases/2/").text
    assert client.post("/p/zoo/releases/2/promote/").status_code == 403
    assert client.post("/p/zoo/releases/roll-back/").status_code == 403
    assert lifecycle.serving(release.project) == release


def test_a_wrong_method_is_refused(client: Client, mona: User, release: Release) -> None:
    client.force_login(mona)
    assert client.post("/p/zoo/releases/").status_code == 405
    assert client.post("/p/zoo/releases/1/").status_code == 405
    assert client.delete("/p/zoo/releases/1/promote/").status_code == 405


def test_without_a_release_the_page_says_how_to_make_one(client: Client, mona: User) -> None:
    client.force_login(mona)
    assert "build_index --project zoo" in client.get("/p/zoo/releases/").text
    assert client.get("/p/zoo/releases/roll-back/").status_code == 200


def test_a_release_shows_its_measures_its_sentence_and_what_got_worse(
    client: Client, erin: User, release: Release
) -> None:
    challenge(release, before=0.5, after=0.6)
    client.force_login(erin)
    page = client.get("/p/zoo/releases/2/").text
    assert "Measured only." in page
    assert "+0.100" in page
    assert "+0.100, between +0.020 and +0.180" in page
    assert "&lt; 0.001" in page
    assert "1 got worse" in page
    assert "Who sings?" in page
    assert "nDCG@10, passages never trained on" in page


def _worse(release: Release, state: str) -> Query:
    """The query that release 2 answers worse, in this state."""
    challenge(release)
    query = Query.objects.get(text="Who sings?")
    query.state = state
    query.save()
    if state == Query.State.SETTLED:
        Review.objects.create(query=query, state=Review.State.SETTLED, answer="A whale.")
    return query


def test_a_settled_query_that_got_worse_goes_to_a_reviewer(client: Client, erin: User, release: Release) -> None:
    query = _worse(release, Query.State.SETTLED)
    client.force_login(erin)
    assert "Turn into work: Who sings?" in client.get("/p/zoo/releases/2/").text
    answer = client.post("/p/zoo/releases/2/requeue/", {"query": query.pk}, follow=True)
    assert "To review: 1. Moved up in the queue: 0." in answer.text
    review = Review.objects.waiting().get(query=query)
    assert "It got worse with release 2." in labels.why(review) and review.answer == "A whale."
    assert Event.objects.get(verb="reopened").actor == erin
    assert "Turn into work: Who sings?" not in client.get("/p/zoo/releases/2/").text


def test_all_that_got_worse_at_once_and_nothing_else(client: Client, mona: User, release: Release) -> None:
    query = _worse(release, Query.State.OPEN)
    for one in Query.objects.all():
        Assignment.objects.create(project=release.project, query=one, slot=1)
    client.force_login(mona)
    answer = client.post("/p/zoo/releases/2/requeue/", follow=True)
    assert "To review: 0. Moved up in the queue: 1." in answer.text
    (valued,) = Assignment.objects.filter(priority__gt=0)
    assert (valued.query, labels.why(valued)) == (query, "It got worse with release 2.")


@pytest.mark.parametrize("sent", ["better", "nonsense"])
def test_what_did_not_get_worse_is_not_turned_into_work(
    client: Client, mona: User, release: Release, sent: str
) -> None:
    _worse(release, Query.State.SETTLED)
    client.force_login(mona)
    named = Query.objects.get(text="Who swims?").pk if sent == "better" else "all"
    assert "To review: 0." in client.post("/p/zoo/releases/2/requeue/", {"query": named}, follow=True).text


def test_the_evaluation_sample_is_left_alone(client: Client, mona: User, release: Release) -> None:
    query = _worse(release, Query.State.SETTLED)
    Query.objects.update(is_evaluation=True)
    client.force_login(mona)
    assert "Turn into work: Who sings?" not in client.get("/p/zoo/releases/2/").text
    assert "Left as they are: 1." in client.post("/p/zoo/releases/2/requeue/", follow=True).text
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED


def test_turning_into_work_is_for_engineers(client: Client, bob: User, release: Release) -> None:
    _worse(release, Query.State.SETTLED)
    client.force_login(bob)
    assert client.post("/p/zoo/releases/2/requeue/").status_code == 403
    assert client.get("/p/zoo/releases/2/requeue/").status_code == 405


def test_looking_at_the_promotion_changes_nothing_and_posting_switches(
    client: Client, mona: User, release: Release
) -> None:
    challenger = challenge(release)
    client.force_login(mona)
    assert "Promote release 2?" in client.get("/p/zoo/releases/2/promote/").text
    assert lifecycle.serving(release.project) == release
    answer = client.post("/p/zoo/releases/2/promote/", follow=True)
    assert "Release 2 serves from now on." in answer.text
    assert lifecycle.serving(release.project) == challenger
    assert Event.objects.get(verb="release.switched", data__release=2).actor == mona


def test_rolling_back_puts_the_one_before_in_service(client: Client, mona: User, release: Release) -> None:
    lifecycle.switch(challenge(release))
    client.force_login(mona)
    assert "Roll back to release 1?" in client.get("/p/zoo/releases/roll-back/").text
    answer = client.post("/p/zoo/releases/roll-back/", follow=True)
    assert "Release 1 serves again." in answer.text
    assert lifecycle.serving(release.project) == release


def test_a_release_that_cannot_serve_comes_back_with_the_reason(
    client: Client, mona: User, release: Release, build: IndexBuild
) -> None:
    challenge(release)
    IndexBuild.objects.update(state="failed")
    client.force_login(mona)
    answer = client.post("/p/zoo/releases/2/promote/")
    assert answer.status_code == 422
    assert "cannot serve" in answer.text


def test_nothing_to_roll_back_to_is_said(client: Client, mona: User, release: Release) -> None:
    client.force_login(mona)
    answer = client.post("/p/zoo/releases/roll-back/")
    assert answer.status_code == 422
    assert "there is none before it" in answer.text


def test_parts_of_the_split_and_guard_sets_stand_apart(client: Client, erin: User, release: Release) -> None:
    evaluation = evaluation_report.last_evaluation(challenge(release))
    figures = evaluation.measures["ndcg@10"]
    nothing = {"champion": None, "challenger": 0.5, "difference": None, "low": None, "high": None, "p": None}
    evaluation.measures |= {
        "ndcg@10 seen": figures | {"difference": 0.2},
        "guard:general ndcg@10": figures,
        "guard:closed-book logprob": figures | {"low": -3.0},
        "refusal-precision": nothing,
    }
    evaluation.save()
    titles = [(title, len(rows)) for title, rows in evaluation_report.measures(evaluation)]
    assert titles == [
        ("The whole test split", 2),
        ("Parts of the test split", 2),
        ("Guardrail sets: what no one tuned for", 2),
    ]
    assert evaluation_report.memory(evaluation) == pytest.approx((0.2, 0.1))
    assert evaluation_report.span(evaluation) == pytest.approx(0.18)
    client.force_login(erin)
    page = client.get("/p/zoo/releases/2/").text
    assert "Guardrail set general: nDCG@10" in page
    assert "nDCG@10 moved by +0.200; where none was, by +0.100" in page
    assert "Refusals that were called for" in page


def test_the_changed_queries_are_ordered_by_how_much_and_counted(project: Project, release: Release) -> None:
    evaluation = evaluation_report.last_evaluation(challenge(release))
    (changes,) = evaluation_report.changed_queries(evaluation, most=10)
    assert [(change.query.text, change.before, change.after) for change in changes.worse] == [("Who sings?", 0.9, 0.3)]
    assert [change.query.text for change in changes.better] == ["Who swims?"]
    assert (changes.worse_count, changes.better_count, changes.same_count) == (1, 1, 1)


def test_the_number_of_database_queries_does_not_grow_with_the_releases(
    client: Client, mona: User, release: Release, django_assert_max_num_queries
) -> None:  # type: ignore[no-untyped-def]
    for _ in range(4):
        challenge_number = Release.objects.count()
        lifecycle.next_release(release.project)
        assert Release.objects.count() == challenge_number + 1
    client.force_login(mona)
    with django_assert_max_num_queries(20):
        client.get("/p/zoo/releases/")
