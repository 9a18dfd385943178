"""A learning curve from start to end; the training here learns nothing (trainer.py)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from common.jobs import JobState
from curation.models import Project, Query, Release
from tuning import tasks
from tuning.learning_curves import learning_curve
from tuning.models import Cycle, LearningCurve, Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def stand_in(settings: Any) -> None:
    settings.TRAINERS = {"retriever": "tests.tuning.trainer"}
    settings.HEARTBEAT_SECONDS = 1


def test_every_size_becomes_a_point_and_nothing_else_is_left(
    project: Project, release: Release, settled: list[Query], settings: Any
) -> None:
    curve = learning_curve.start(project, sizes=[5, 7, 900])
    assert learning_curve.draw(curve, "test")
    assert curve.state == JobState.DONE, curve.reason
    assert [point["queries"] for point in curve.points] == [0, 5, 7]
    values = {point["value"] for point in curve.points}
    assert len(values) == 1 and 0 < values.pop() <= 1  # the copy ranks as the original does
    assert curve.points[1]["grades"] < curve.points[2]["grades"]
    assert not Run.objects.exists() and not Cycle.objects.exists()
    assert not list((settings.DATA_DIR / "learning").iterdir())
    assert learning_curve.outlook(curve) is None  # two trainings
    assert [gain for gain, _low, _high in learning_curve.gains(curve)] == [0.0, 0.0]


def test_a_curve_taken_up_again_goes_on_after_its_last_point(
    project: Project, release: Release, settled: list[Query]
) -> None:
    curve = learning_curve.start(project, sizes=[5, 6, 7])
    learning_curve.draw(curve, "test")
    kept = curve.points[:2]
    LearningCurve.objects.update(points=kept, state=JobState.QUEUED)
    curve.refresh_from_db()
    assert learning_curve.draw(curve, "other")
    assert curve.points[:2] == kept and len(curve.points) == 4


def test_a_training_that_fails_says_why_and_keeps_its_points(
    project: Project, release: Release, settled: list[Query]
) -> None:
    curve = learning_curve.start(project, sizes=[5], settings={"retriever": {"fail": "the loss is not a number"}})
    learning_curve.draw(curve, "test")
    assert (curve.state, curve.reason) == (JobState.FAILED, "the loss is not a number")
    assert len(curve.points) == 1


def test_too_little_work_is_said(project: Project, release: Release) -> None:
    curve = learning_curve.start(project)
    learning_curve.draw(curve, "test")
    assert curve.state == JobState.FAILED and "a dataset needs 8" in curve.reason


def test_one_at_a_time(project: Project) -> None:
    learning_curve.start(project)
    with pytest.raises(learning_curve.AlreadyLearning):
        learning_curve.start(project)


def test_a_curve_whose_worker_fell_silent_is_given_again_once(project: Project) -> None:
    curve = learning_curve.start(project)
    assert curve.claim("lost")
    LearningCurve.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert learning_curve.sweep() == [curve]
    assert learning_curve.sweep() == []


def test_the_command_tells_the_points(
    project: Project, release: Release, settled: list[Query], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("learning_curve", project="zoo", sizes="5", json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [point["queries"] for point in told["points"]] == [0, 5]
    assert told["next"] is None and "per_query" not in told["points"][0]


POINTS = [
    {
        "queries": queries,
        "grades": queries * 10,
        "value": value,
        "low": value - 0.05,
        "high": value + 0.05,
        "seconds": 30.0,
        "per_query": {str(n): value for n in range(20)},
    }
    for queries, value in [(0, 0.3), (50, 0.40), (100, 0.45), (200, 0.50), (400, 0.55)]
]


def test_the_page_shows_the_curve_and_what_more_would_bring(client: Client, erin: User, project: Project) -> None:
    curve = LearningCurve.objects.create(
        project=project, component="retriever", measure="ndcg@10", state="done", points=POINTS
    )
    client.force_login(erin)
    page = client.get(f"/p/zoo/learning-curves/{curve.pk}/").text
    # 0.05 a doubling: 0.05 / ln 2 · ln(500 / 400)
    assert "The next 100 judged queries would likely move nDCG@10 by +0.016" in page
    assert "+0.200" in page  # from nothing to fifty: 0.1 in 50
    told = client.get(f"/p/zoo/learning-curves/{curve.pk}/points/").json()
    assert [line["points"][-1][0] for line in told["curves"]] == [400, 500]
    assert (
        client.get(f"/p/zoo/learning-curves/{curve.pk}/", headers={"HX-Request": "true"})
        .text.strip()
        .startswith("<div")
    )


def test_a_curve_is_offered_where_something_serves(client: Client, erin: User, project: Project) -> None:
    client.force_login(erin)
    page = client.get("/p/zoo/learning-curves/").text
    assert "Draw one" not in page and "How the index is built" in page


def test_starting_and_cancelling_by_the_page(
    client: Client, erin: User, bob: User, release: Release, broker: None
) -> None:
    client.force_login(bob)
    sent = {"component": "retriever", "minutes": "1", "seed": "3"}
    assert client.post("/p/zoo/learning-curves/", sent).status_code == 403
    client.force_login(erin)
    assert "Draw one" in client.get("/p/zoo/learning-curves/").text
    page = client.post("/p/zoo/learning-curves/", sent, follow=True).text
    curve = LearningCurve.objects.get()
    assert (curve.seed, curve.settings) == (3, {"budget_seconds": 60.0})
    assert "Waits for a worker" in page
    answer = client.post("/p/zoo/learning-curves/", sent)
    assert answer.status_code == 422 and "already has an unfinished learning curve" in answer.text
    client.post(f"/p/zoo/learning-curves/{curve.pk}/cancel/")
    curve.refresh_from_db()
    assert curve.state == JobState.CANCELLED
    tasks.learn(curve.pk)  # a message that comes late finds nothing to do
    curve.refresh_from_db()
    assert curve.points == []
