"""Pages of releases: list, one release, promote, roll back."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.core import labels
from curation.models import Assignment, Event, Project, Query, Release, Review
from curation.releases import evaluation_report, lifecycle
from retrieval.models import IndexBuild
from tests.challengers import create_challenger

PATHS = ["releases/", "releases/1/", "releases/1/promote/", "releases/roll-back/"]


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_gets_404(client: Client, carol: User, release: Release, path: str) -> None:
    client.force_login(carol)
    assert client.get(f"/p/zoo/{path}").status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_an_annotator_gets_403(client: Client, alice: User, release: Release, path: str) -> None:
    client.force_login(alice)
    answer = client.get(f"/p/zoo/{path}")
    assert answer.status_code == 403
    role = "manager" if path in ("releases/1/promote/", "releases/roll-back/") else "engineer"
    assert f"You need the {role} role." in answer.text


def test_an_engineer_may_read_but_not_promote(client: Client, erin: User, release: Release) -> None:
    create_challenger(release)
    client.force_login(erin)
    assert "Promote" not in client.get("/p/zoo/releases/2/").text
    assert client.post("/p/zoo/releases/2/promote/").status_code == 403
    assert client.post("/p/zoo/releases/roll-back/").status_code == 403
    assert lifecycle.live_release(release.project) == release


def test_a_wrong_method_is_refused(client: Client, mona: User, release: Release) -> None:
    client.force_login(mona)
    assert client.post("/p/zoo/releases/").status_code == 405
    assert client.post("/p/zoo/releases/1/").status_code == 405
    assert client.delete("/p/zoo/releases/1/promote/").status_code == 405


def test_without_a_release_the_page_says_how_to_make_one(client: Client, mona: User) -> None:
    client.force_login(mona)
    assert "build_index --project zoo" in client.get("/p/zoo/releases/").text
    assert client.get("/p/zoo/releases/roll-back/").status_code == 200


def test_a_release_shows_its_metrics_its_decision_and_what_got_worse(
    client: Client, erin: User, release: Release
) -> None:
    create_challenger(release, before=0.5, after=0.6)
    client.force_login(erin)
    page = client.get("/p/zoo/releases/2/").text
    assert "Measured only." in page
    assert "+0.100" in page
    assert "+0.100, between +0.020 and +0.180" in page
    assert "&lt; 0.001" in page
    assert "1 worse" in page
    assert "Who sings?" in page
    assert "nDCG@10, passages never trained on" in page


def _worse(release: Release, state: str) -> Query:
    """The query that release 2 answers worse, in this state."""
    create_challenger(release)
    query = Query.objects.get(text="Who sings?")
    query.state = state
    query.save()
    if state == Query.State.SETTLED:
        Review.objects.create(query=query, state=Review.State.SETTLED, answer="A whale.")
    return query


def test_a_settled_query_that_got_worse_goes_to_a_reviewer(client: Client, erin: User, release: Release) -> None:
    query = _worse(release, Query.State.SETTLED)
    client.force_login(erin)
    assert "Re-queue: Who sings?" in client.get("/p/zoo/releases/2/").text
    answer = client.post("/p/zoo/releases/2/requeue/", {"query": query.pk}, follow=True)
    assert "Sent to review: 1. Moved up in the queue: 0." in answer.text
    review = Review.objects.waiting().get(query=query)
    assert "It got worse with release 2." in labels.describe_reason(review) and review.answer == "A whale."
    assert Event.objects.get(verb="reopened").actor == erin
    assert "Re-queue: Who sings?" not in client.get("/p/zoo/releases/2/").text


def test_all_regressions_are_requeued_at_once_and_nothing_else(client: Client, mona: User, release: Release) -> None:
    query = _worse(release, Query.State.OPEN)
    for one in Query.objects.all():
        Assignment.objects.create(project=release.project, query=one, slot=1)
    client.force_login(mona)
    answer = client.post("/p/zoo/releases/2/requeue/", follow=True)
    assert "Sent to review: 0. Moved up in the queue: 1." in answer.text
    (assignment,) = Assignment.objects.filter(priority__gt=0)
    assert (assignment.query, labels.describe_reason(assignment)) == (query, "It got worse with release 2.")


@pytest.mark.parametrize("sent", ["better", "nonsense"])
def test_a_query_that_did_not_get_worse_is_not_requeued(
    client: Client, mona: User, release: Release, sent: str
) -> None:
    _worse(release, Query.State.SETTLED)
    client.force_login(mona)
    named = Query.objects.get(text="Who swims?").pk if sent == "better" else "all"
    assert "Sent to review: 0." in client.post("/p/zoo/releases/2/requeue/", {"query": named}, follow=True).text


def test_the_evaluation_sample_is_left_alone(client: Client, mona: User, release: Release) -> None:
    query = _worse(release, Query.State.SETTLED)
    Query.objects.update(is_evaluation=True)
    client.force_login(mona)
    assert "Re-queue: Who sings?" not in client.get("/p/zoo/releases/2/").text
    assert "Unchanged: 1." in client.post("/p/zoo/releases/2/requeue/", follow=True).text
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED


def test_only_engineers_requeue(client: Client, bob: User, release: Release) -> None:
    _worse(release, Query.State.SETTLED)
    client.force_login(bob)
    assert client.post("/p/zoo/releases/2/requeue/").status_code == 403
    assert client.get("/p/zoo/releases/2/requeue/").status_code == 405


def test_get_changes_nothing_and_post_promotes(client: Client, mona: User, release: Release) -> None:
    challenger = create_challenger(release)
    client.force_login(mona)
    assert "Promote release 2?" in client.get("/p/zoo/releases/2/promote/").text
    assert lifecycle.live_release(release.project) == release
    answer = client.post("/p/zoo/releases/2/promote/", follow=True)
    assert "Release 2 is live now." in answer.text
    assert lifecycle.live_release(release.project) == challenger
    assert Event.objects.get(verb="release.switched", data__release=2).actor == mona


def test_a_roll_back_makes_the_previous_release_live(client: Client, mona: User, release: Release) -> None:
    lifecycle.promote(create_challenger(release))
    client.force_login(mona)
    assert "Roll back to release 1?" in client.get("/p/zoo/releases/roll-back/").text
    answer = client.post("/p/zoo/releases/roll-back/", follow=True)
    assert "Release 1 is live again." in answer.text
    assert lifecycle.live_release(release.project) == release


def test_a_release_that_cannot_go_live_comes_back_with_the_reason(
    client: Client, mona: User, release: Release, build: IndexBuild
) -> None:
    create_challenger(release)
    IndexBuild.objects.update(state="failed")
    client.force_login(mona)
    answer = client.post("/p/zoo/releases/2/promote/")
    assert answer.status_code == 422
    assert "cannot go live" in answer.text


def test_nothing_to_roll_back_to_is_said(client: Client, mona: User, release: Release) -> None:
    client.force_login(mona)
    answer = client.post("/p/zoo/releases/roll-back/")
    assert answer.status_code == 422
    assert "There is no release before release 1." in answer.text


def test_subsets_and_guardrail_sets_are_separate_groups(client: Client, erin: User, release: Release) -> None:
    evaluation = evaluation_report.latest_evaluation(create_challenger(release))
    figures = evaluation.measures["ndcg@10"]
    nothing = {"champion": None, "challenger": 0.5, "difference": None, "low": None, "high": None, "p": None}
    evaluation.measures |= {
        "ndcg@10 seen": figures | {"difference": 0.2},
        "guard:general ndcg@10": figures,
        "guard:closed-book logprob": figures | {"low": -3.0},
        "refusal-precision": nothing,
    }
    evaluation.save()
    titles = [(title, len(rows)) for title, rows in evaluation_report.group_metrics(evaluation)]
    assert titles == [
        ("Whole test split", 2),
        ("Subsets of the test split", 2),
        ("Guardrail sets (held-out)", 2),
    ]
    assert evaluation_report.seen_unseen_gain(evaluation) == pytest.approx((0.2, 0.1))
    assert evaluation_report.axis_span(evaluation) == pytest.approx(0.18)
    client.force_login(erin)
    page = client.get("/p/zoo/releases/2/").text
    assert "Guardrail set general: nDCG@10" in page
    assert "changed by +0.200 for queries whose relevant passages were seen in training, and by +0.100" in page
    assert "Refusal precision" in page


def test_the_changed_queries_are_ordered_by_how_much_and_counted(project: Project, release: Release) -> None:
    evaluation = evaluation_report.latest_evaluation(create_challenger(release))
    (changes,) = evaluation_report.changed_queries(evaluation, limit=10)
    assert [(change.query.text, change.before, change.after) for change in changes.worse] == [("Who sings?", 0.9, 0.3)]
    assert [change.query.text for change in changes.better] == ["Who swims?"]
    assert (changes.worse_count, changes.better_count, changes.same_count) == (1, 1, 1)


def test_the_number_of_database_queries_does_not_grow_with_the_releases(
    client: Client, mona: User, release: Release, django_assert_max_num_queries
) -> None:  # type: ignore[no-untyped-def]
    for _ in range(4):
        challenge_number = Release.objects.count()
        lifecycle.create_candidate(release.project)
        assert Release.objects.count() == challenge_number + 1
    client.force_login(mona)
    with django_assert_max_num_queries(20):
        client.get("/p/zoo/releases/")
