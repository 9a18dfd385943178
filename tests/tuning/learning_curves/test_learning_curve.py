"""A learning curve from start to end. The training here learns nothing (trainer.py)."""

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
from common.recovery import recover
from curation.models import Project, Query, Release
from tuning import tasks
from tuning.learning_curves import learning_curve
from tuning.models import Cycle, LearningCurve, Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def stand_in(settings: Any) -> None:
    settings.TRAINERS = {"retriever": "tests.tuning.trainer"}
    settings.HEARTBEAT_SECONDS = 1


def test_every_size_becomes_a_point_and_no_run_is_left(
    project: Project, release: Release, settled: list[Query], settings: Any
) -> None:
    curve = learning_curve.start(project, sizes=[5, 7, 900])
    assert learning_curve.measure(curve, "test")
    assert curve.state == JobState.DONE, curve.reason
    assert [point["queries"] for point in curve.points] == [0, 5, 7]
    values = {point["value"] for point in curve.points}
    assert len(values) == 1 and 0 < values.pop() <= 1  # the copy ranks like the original
    assert curve.points[1]["grades"] < curve.points[2]["grades"]
    assert not Run.objects.exists() and not Cycle.objects.exists()
    assert not list((settings.DATA_DIR / "learning").iterdir())
    assert learning_curve.extrapolate(curve) is None  # two trainings
    assert [gain for gain, _low, _high in learning_curve.gains_per_hundred(curve)] == [0.0, 0.0]


def test_a_resumed_curve_continues_after_its_last_point(
    project: Project, release: Release, settled: list[Query]
) -> None:
    curve = learning_curve.start(project, sizes=[5, 6, 7])
    learning_curve.measure(curve, "test")
    stored = curve.points[:2]
    LearningCurve.objects.update(points=stored, state=JobState.QUEUED)
    curve.refresh_from_db()
    assert learning_curve.measure(curve, "other")
    assert curve.points[:2] == stored and len(curve.points) == 4


def test_a_failed_training_fails_the_curve_with_the_reason_and_keeps_its_points(
    project: Project, release: Release, settled: list[Query]
) -> None:
    curve = learning_curve.start(project, sizes=[5], settings={"retriever": {"fail": "the loss is not a number"}})
    learning_curve.measure(curve, "test")
    assert (curve.state, curve.reason) == (JobState.FAILED, "the loss is not a number")
    assert len(curve.points) == 1


def test_a_curve_without_enough_queries_fails_with_the_reason(project: Project, release: Release) -> None:
    curve = learning_curve.start(project)
    learning_curve.measure(curve, "test")
    assert curve.state == JobState.FAILED and "a dataset needs 8" in curve.reason


def test_a_project_has_one_unfinished_curve(project: Project) -> None:
    learning_curve.start(project)
    with pytest.raises(learning_curve.LearningCurveInProgress):
        learning_curve.start(project)


def test_the_recovery_returns_a_curve_of_a_lost_worker_once(project: Project) -> None:
    curve = learning_curve.start(project)
    assert curve.claim("lost")
    LearningCurve.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert recover(LearningCurve) == [curve]
    assert recover(LearningCurve) == []


def test_the_command_returns_the_points(
    project: Project, release: Release, settled: list[Query], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("learning_curve", "--part=retriever", project="zoo", sizes="5", json=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [point["queries"] for point in result["points"]] == [0, 5]
    assert result["next"] is None and "per_query" not in result["points"][0]


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


def test_the_page_shows_the_curve_and_the_gain_of_more_queries(client: Client, erin: User, project: Project) -> None:
    curve = LearningCurve.objects.create(
        project=project, component="retriever", measure="ndcg@10", state="done", points=POINTS
    )
    client.force_login(erin)
    page = client.get(f"/p/zoo/learning-curves/{curve.pk}/").text
    # 0.05 a doubling: 0.05 / ln 2 · ln(500 / 400)
    assert "With the next 100 judged queries, the expected change in nDCG@10 is +0.016" in page
    assert "+0.200" in page  # from nothing to fifty: 0.1 in 50
    chart = client.get(f"/p/zoo/learning-curves/{curve.pk}/points/").json()
    assert [line["points"][-1][0] for line in chart["curves"]] == [400, 500]
    assert (
        client.get(f"/p/zoo/learning-curves/{curve.pk}/", headers={"HX-Request": "true"})
        .text.strip()
        .startswith("<div")
    )


def test_a_curve_is_offered_only_with_a_live_release(client: Client, erin: User, project: Project) -> None:
    client.force_login(erin)
    page = client.get("/p/zoo/learning-curves/").text
    assert "New learning curve" not in page and "How to build the index" in page


def test_a_curve_is_started_and_cancelled_on_the_page(
    client: Client, erin: User, bob: User, release: Release, broker: None
) -> None:
    client.force_login(bob)
    sent = {"component": "retriever", "minutes": "1", "seed": "3"}
    assert client.post("/p/zoo/learning-curves/", sent).status_code == 403
    client.force_login(erin)
    assert "New learning curve" in client.get("/p/zoo/learning-curves/").text
    page = client.post("/p/zoo/learning-curves/", sent, follow=True).text
    curve = LearningCurve.objects.get()
    assert (curve.seed, curve.settings) == (3, {"budget_seconds": 60.0})
    assert "Waiting for a worker" in page
    answer = client.post("/p/zoo/learning-curves/", sent)
    assert answer.status_code == 422 and "already has an unfinished learning curve" in answer.text
    client.post(f"/p/zoo/learning-curves/{curve.pk}/cancel/")
    curve.refresh_from_db()
    assert curve.state == JobState.CANCELLED
    tasks.learn(curve.pk)  # a late message changes nothing
    curve.refresh_from_db()
    assert curve.points == []
