"""Pages of the training cycles, the runs and the policy."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from common.jobs import JobState
from curation.models import Project, Query, Release
from tests.challengers import create_challenger, write_metrics
from tuning.models import Component, Cycle, Dataset, Policy, Run
from tuning.training import training_curves

HTMX = {"HX-Request": "true"}


@pytest.fixture
def running(project: Project) -> Run:
    """A retriever in training."""
    dataset = Dataset.objects.create(project=project, number=1, sha256="0" * 64)
    cycle = Cycle.objects.create(
        project=project,
        state=JobState.RUNNING,
        step=Cycle.Step.TRAIN,
        dataset=dataset,
        progress_done=3,
        progress_total=12,
        progress_note="both encoders",
    )
    return Run.objects.create(
        cycle=cycle,
        dataset=dataset,
        component=Component.RETRIEVER,
        state=JobState.RUNNING,
        loss=0.731,
        seconds_left=101,
        progress_done=3,
        progress_total=12,
        path="runs/page",
    )


def test_strangers_and_low_roles_stay_out(client: Client, carol: User, bob: User, running: Run) -> None:
    paths = ["cycles/", f"runs/{running.pk}/", f"runs/{running.pk}/curves/", f"cycles/{running.cycle_id}/"]
    for person, status in ((carol, 404), (bob, 403)):
        client.force_login(person)
        for path in paths:
            assert client.get(f"/p/zoo/{path}").status_code == status, path
        assert client.post("/p/zoo/cycles/start/", {"gate": "auto"}).status_code == status
        assert client.post(f"/p/zoo/cycles/{running.cycle_id}/cancel/").status_code == status
    assert Cycle.objects.get().state == JobState.RUNNING


def test_wrong_methods_are_refused(client: Client, erin: User, running: Run) -> None:
    client.force_login(erin)
    assert client.get("/p/zoo/cycles/start/").status_code == 405
    assert client.post("/p/zoo/cycles/").status_code == 405
    assert client.post(f"/p/zoo/runs/{running.pk}/").status_code == 405


def test_the_page_without_cycles_offers_to_start_one(
    client: Client, erin: User, release: Release, settled: list[Query]
) -> None:
    client.force_login(erin)
    page = client.get("/p/zoo/cycles/").text
    assert "No cycle yet" in page
    assert "Start a training cycle" in page and "A cycle needs at least" not in page


def test_a_cycle_is_offered_only_with_a_live_release(client: Client, erin: User, project: Project) -> None:
    client.force_login(erin)
    page = client.get("/p/zoo/cycles/").text
    assert "a cycle needs one as its baseline" in page and 'href="/p/zoo/#index"' in page
    assert "Start a training cycle" not in page
    assert 'id="index"' in client.get("/p/zoo/").text


def test_the_page_says_how_many_queries_a_cycle_needs(client: Client, erin: User, release: Release) -> None:
    release.project.queries.create(text="Who sleeps?", external_id="q1", state=Query.State.SETTLED)
    client.force_login(erin)
    page = client.get("/p/zoo/cycles/").text
    assert "A cycle needs at least 8 resolved queries; 1 is resolved." in page and 'href="/p/zoo/judge/"' in page
    assert "Start a training cycle" not in page


def test_the_start_form_queues_a_cycle_and_shows_it(client: Client, erin: User, project: Project) -> None:
    client.force_login(erin)
    answer = client.post("/p/zoo/cycles/start/", {"only": "retriever", "gate": "never", "seed": "7"}, follow=True)
    cycle = Cycle.objects.get()
    assert (cycle.only, cycle.gate, cycle.seed, cycle.state) == ("retriever", "never", 7, JobState.QUEUED)
    assert answer.redirect_chain == [(f"/p/zoo/cycles/{cycle.pk}/", 302)]
    assert cycle.settings == {}
    assert "Waiting for a worker" in answer.text


def test_the_page_shows_the_step_of_the_reranker_if_one_is_trained(
    client: Client, erin: User, project: Project
) -> None:
    client.force_login(erin)
    page = client.post("/p/zoo/cycles/start/", {"gate": "auto", "reranker": "on"}, follow=True).text
    cycle = Cycle.objects.get()
    assert cycle.settings == {"reranker": {"enabled": True}}
    assert "Training the reranker" in page
    Cycle.objects.update(settings={})
    assert "Training the reranker" not in client.get(f"/p/zoo/cycles/{cycle.pk}/").text


def test_a_second_cycle_at_the_same_time_is_refused_with_the_reason(client: Client, erin: User, running: Run) -> None:
    client.force_login(erin)
    answer = client.post("/p/zoo/cycles/start/", {"gate": "auto"})
    assert answer.status_code == 422
    assert "already has an unfinished cycle" in answer.text
    assert Cycle.objects.count() == 1


def test_a_form_that_makes_no_sense_comes_back(client: Client, erin: User, project: Project) -> None:
    client.force_login(erin)
    answer = client.post("/p/zoo/cycles/start/", {"only": "everything", "gate": "maybe", "seed": "-1"})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert not Cycle.objects.exists()


def test_the_cycle_region_polls_while_the_cycle_runs_and_stops_when_it_ends(
    client: Client, erin: User, running: Run
) -> None:
    client.force_login(erin)
    path = f"/p/zoo/cycles/{running.cycle_id}/"
    region = client.get(path, headers=HTMX).text
    assert region.lstrip().startswith('<div id="cycle"')
    assert 'hx-trigger="every 2s"' in region
    assert 'value="0.25"' in region
    assert "0.7310" in region
    assert "1 min 41 s left" in region
    Cycle.objects.update(state=JobState.FAILED, reason="Too little was settled.")
    region = client.get(path, headers=HTMX).text
    assert "hx-trigger" not in region
    assert "Too little was settled." in region


def test_cancelling_asks_first_and_then_stops_the_cycle_and_its_run(client: Client, erin: User, running: Run) -> None:
    client.force_login(erin)
    path = f"/p/zoo/cycles/{running.cycle_id}/cancel/"
    assert "Keep it running" in client.get(path).text
    assert Cycle.objects.get().state == JobState.RUNNING
    answer = client.post(path, follow=True)
    assert "The cycle is being stopped." in answer.text
    running.refresh_from_db()
    assert (Cycle.objects.get().state, running.state) == (JobState.CANCELLED, JobState.CANCELLED)
    assert "had already ended" in client.post(path, follow=True).text


def test_a_run_of_another_project_is_not_found_here(client: Client, erin: User, running: Run) -> None:
    other = Project.objects.create(slug="other", name="Other", corpus=running.cycle.project.corpus)
    Cycle.objects.update(project=other)
    client.force_login(erin)
    assert client.get(f"/p/zoo/runs/{running.pk}/").status_code == 404
    assert client.get(f"/p/zoo/cycles/{running.cycle_id}/").status_code == 404


def test_the_curves_are_read_from_the_metrics_of_the_process(client: Client, erin: User, running: Run) -> None:
    rows = [
        {"step": 1, "loss": 0.9, "candidate": "both"},
        {"step": 2, "loss": 0.5, "candidate": "both", "dev": {"ndcg@10": 0.61}},
        {"step": 2, "loss": float("nan")},
        {"note": "warming up"},
    ]
    write_metrics(running, rows, tail='{"step": 3, "lo')
    client.force_login(erin)
    answer = client.get(f"/p/zoo/runs/{running.pk}/curves/").json()
    assert answer["is_live"] is True
    assert answer["curves"] == [
        {"name": "loss · dual encoder", "kind": "loss", "points": [[1.0, 0.9], [2.0, 0.5]]},
        {"name": "dev metric · dual encoder", "kind": "dev", "points": [[2.0, 0.61]]},
    ]
    with translation.override("zh-hans"):
        assert training_curves.read_curves(running)[0]["name"] == "损失 · 双编码器"
    page = client.get(f"/p/zoo/runs/{running.pk}/").text
    assert "0.6100" in page
    assert "chart.umd.min.js" in page


def test_a_long_curve_is_thinned_and_keeps_its_ends(running: Run) -> None:
    write_metrics(running, [{"step": step, "loss": 1.0} for step in range(5000)])
    (curve,) = training_curves.read_curves(running)
    assert len(curve["points"]) == training_curves.MAX_POINTS
    assert curve["points"][0][0] == 0
    assert curve["points"][-1][0] == 4999


def test_a_run_without_metrics_has_no_curves(running: Run) -> None:
    running.path = "runs/nothing-here"
    assert training_curves.read_curves(running) == []


def test_finished_cycles_show_their_decision_and_release(client: Client, erin: User, release: Release) -> None:
    create_challenger(release)
    client.force_login(erin)
    page = client.get("/p/zoo/cycles/").text
    assert "Measured only." in page
    assert "/p/zoo/releases/2/" in page


def test_a_manager_changes_the_policy(client: Client, erin: User, mona: User, project: Project) -> None:
    client.force_login(erin)
    assert client.get("/p/zoo/cycles/policy/").status_code == 403
    client.force_login(mona)
    assert client.get("/p/zoo/cycles/policy/").status_code == 200
    assert not Policy.objects.exists()
    sent = {"is_active": "on", "min_new_queries": 20, "min_hours_between": 6, "gate": "auto", "only": ""}
    sent |= {"guardrail_margin": 0.01, "min_judged": 0.5, "target_rule": "not_worse", "guardrail_rule": "interval"}
    sent |= {"log_prob_margin": 0.2, "max_rerank_ms": 150, "reranker": "on"}
    assert client.post("/p/zoo/cycles/policy/", sent).status_code == 302
    policy = Policy.objects.get(project=project)
    assert (policy.min_new_queries, policy.max_rerank_ms) == (20, 150)
    assert policy.settings == {"reranker": {"enabled": True}}
    assert "checked" in client.get("/p/zoo/cycles/policy/").text.split('name="reranker"')[1].split(">")[0]
    assert client.post("/p/zoo/cycles/policy/", {**sent, "reranker": ""}).status_code == 302
    assert Policy.objects.get(project=project).settings == {"reranker": {"enabled": False}}
    assert client.post("/p/zoo/cycles/policy/", sent | {"guardrail_margin": 3}).status_code == 422
