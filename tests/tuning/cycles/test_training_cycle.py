"""One cycle of the loop: its steps, its ends, and what a kill leaves behind.

The training here is a process of its own that learns nothing (trainer.py); test_loop has the real ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from common.jobs import JobState, enqueue
from curation.models import Project, Query, Release
from curation.releases import lifecycle
from retrieval.models import IndexBuild
from retrieval.search import search
from tuning import tasks
from tuning.cycles import training_cycle
from tuning.models import Component, Cycle, Decision, Evaluation, Run
from tuning.promotion import candidate
from tuning.training import training_runs

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., subprocess.Popen[bytes]]
Until = Callable[..., None]


@pytest.fixture(autouse=True)
def stand_in(settings: Any) -> None:
    settings.TRAINERS = {"retriever": "tests.tuning.trainer"}
    settings.HEARTBEAT_SECONDS = 1


def start(project: Project, **retriever: object) -> Cycle:
    return training_cycle.start(project, only=Component.RETRIEVER, settings={"retriever": retriever})


def go_round(cycle: Cycle) -> list[str]:
    """The steps that were done, in their order."""
    steps = []
    while cycle.state == JobState.QUEUED:
        steps.append(cycle.step)
        assert training_cycle.advance(cycle, "test")
    return steps


def starts(run: Run) -> list[int]:
    path = training_runs.folder(run) / "starts.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_cycle_goes_through_its_steps_and_ends_with_a_decision(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = start(project)
    assert go_round(cycle) == ["collect", "train", "index", "evaluate", "decide"]
    assert cycle.state == JobState.DONE, cycle.reason
    run, evaluation = cycle.runs.get(), cycle.evaluation
    assert run.encoder is not None and run.encoder.parent == release.build.encoder
    assert len(run.record["code"]["sha256"]) == 64
    assert run.record["choice"] == "copy" and run.loss == pytest.approx(0.1)
    assert cycle.challenger is not None and cycle.challenger.build.encoder == run.encoder
    # the copy ranks as the original does: the dense share, learned on dev, may differ, a gain is not promised
    assert set(evaluation.measures) >= {"ndcg@10", "recall@20", "mrr@10", "judged@10"}
    assert evaluation.measures["ndcg@10"]["queries"] == len(evaluation.per_query)
    assert Decision.objects.get().evaluation == evaluation


def test_always_promotes_and_the_release_before_can_come_back(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = training_cycle.start(project, only=Component.RETRIEVER, gate="always")
    go_round(cycle)
    assert lifecycle.serving(project) == cycle.challenger
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)
    assert lifecycle.roll_back(project) == release
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)


def test_a_project_has_one_unfinished_cycle(project: Project) -> None:
    training_cycle.start(project)
    with pytest.raises(training_cycle.CycleInProgress):
        training_cycle.start(project)


def test_too_little_work_fails_the_cycle_with_its_reason(
    project: Project, release: Release, settle: Callable[..., Query]
) -> None:
    settle("One question", {"lion": 1})
    cycle = start(project)
    go_round(cycle)
    assert cycle.state == JobState.FAILED
    assert "1 settled queries teach something" in cycle.reason
    training_cycle.start(project)  # the way is free again


def test_a_training_that_gives_up_fails_the_cycle_with_its_reason(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = start(project, fail="the loss is not a number")
    go_round(cycle)
    assert (cycle.state, cycle.reason) == (JobState.FAILED, "the loss is not a number")
    assert cycle.runs.get().state == JobState.FAILED
    assert lifecycle.serving(project) == release


def test_a_half_without_anything_to_learn_from_is_left_out(
    project: Project, release: Release, settle: Callable[..., Query]
) -> None:
    for n, name in enumerate(["lion", "tiger", "zebra", "panda", "otter", "eagle", "crow", "shark", "whale", "snail"]):
        query = settle(f"{name} {n}", {name: 3}, "x")
        query.reviews.update(answer="")
    cycle = training_cycle.start(project)
    go_round(cycle)
    assert cycle.state == JobState.DONE, cycle.reason
    assert [run.component for run in cycle.runs.all()] == [Component.RETRIEVER]
    assert "no" not in training_runs.left_out(cycle).get("retriever", "")
    assert "answers" in training_runs.left_out(cycle)["generator"]


def test_cancelling_ends_the_training(project: Project, release: Release, settled: list[Query], until: Until) -> None:
    cycle = start(project, seconds=60)
    training_cycle.advance(cycle, "test")
    worker = threading.Thread(target=_advance_and_close, args=(cycle.pk,))
    worker.start()
    try:
        until(lambda: Run.objects.filter(cycle=cycle, pid__isnull=False).exists(), 30, "the training")
        run = Run.objects.get(cycle=cycle)
        until(lambda: starts(run), 30, "its start")
        assert training_cycle.cancel(cycle, "no longer wanted")
        worker.join(30)
        assert not worker.is_alive()
        assert not alive(starts(run)[0])
    finally:
        worker.join(60)
    cycle.refresh_from_db()
    run.refresh_from_db()
    assert (cycle.state, run.state) == (JobState.CANCELLED, JobState.CANCELLED)


def _advance_and_close(cycle_id: int) -> None:
    training_cycle.advance(Cycle.objects.get(pk=cycle_id), "worker")
    connections.close_all()


def test_a_step_done_before_the_worker_died_is_not_done_again(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = start(project)
    for _step in ("collect", "train", "index", "evaluate"):
        training_cycle.advance(cycle, "test")
        done = cycle.step
    assert done == "decide"
    # as if the worker had died after each step's work and before moving on
    for step in ("train", "index", "evaluate"):
        Cycle.objects.update(step=step)
        cycle.refresh_from_db()
        training_cycle.advance(cycle, "test")
        assert cycle.state == JobState.QUEUED, cycle.reason
    assert len(starts(cycle.runs.get())) == 1
    assert IndexBuild.objects.count() == 2
    assert Release.objects.count() == 2
    assert Evaluation.objects.count() == 1


def test_a_result_whose_registration_was_lost_is_registered_without_training_again(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = start(project)
    training_cycle.advance(cycle, "test")
    training_cycle.advance(cycle, "test")
    run = cycle.runs.get()
    Run.objects.update(state=JobState.RUNNING, encoder=None, worker="gone")
    Cycle.objects.update(step="train")
    cycle.refresh_from_db()
    training_cycle.advance(cycle, "test")
    run.refresh_from_db()
    assert (run.state, run.encoder is not None, len(starts(run))) == (JobState.DONE, True, 1)


def test_a_checkpoint_that_was_changed_on_disk_is_refused(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = start(project)
    training_cycle.advance(cycle, "test")
    training_cycle.advance(cycle, "test")
    (training_runs.folder(cycle.runs.get()) / "checkpoint" / "modules.json").write_text("[]")
    Run.objects.update(state=JobState.RUNNING, encoder=None, worker="gone")
    Cycle.objects.update(step="train")
    cycle.refresh_from_db()
    training_cycle.advance(cycle, "test")
    assert cycle.state == JobState.FAILED
    assert "is not what was written" in cycle.reason


def test_a_worker_that_is_lost_too_often_fails_the_cycle(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = start(project)
    long_ago = timezone.now() - timedelta(hours=1)
    for _attempt in range(Cycle.MAX_ATTEMPTS):
        assert cycle.claim("doomed")
        Cycle.objects.update(heartbeat_at=long_ago)
        training_cycle.sweep()
        cycle.refresh_from_db()
    assert cycle.state == JobState.FAILED
    assert "its worker fell silent while collecting" in cycle.reason


def test_a_sweep_names_a_waiting_cycle_once_until_it_is_silent_again(project: Project) -> None:
    cycle = training_cycle.start(project)
    assert training_cycle.sweep() == []  # its message has just been sent
    Cycle.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert training_cycle.sweep() == [cycle]
    assert training_cycle.sweep() == []


def test_old_builds_give_their_disk_back_but_base_and_the_two_before_stay(
    project: Project, release: Release, settled: list[Query]
) -> None:
    for mark in "abcd":
        cycle = training_cycle.start(
            project, only=Component.RETRIEVER, gate="always", settings={"retriever": {"mark": mark}}
        )
        go_round(cycle)
        assert cycle.state == JobState.DONE, cycle.reason
    kept = IndexBuild.objects.searchable().order_by("number").values_list("number", flat=True)
    assert list(kept) == [1, 3, 4, 5]  # base, two before, serving
    assert candidate.tidy(project) == []
    assert search.search(release.build, "bamboo", 3)


@pytest.mark.slow
def test_a_worker_killed_while_training_leaves_one_training_and_the_cycle_goes_on(
    project: Project, release: Release, settled: list[Query], start_worker: Start, until: Until
) -> None:
    quick = {"HEARTBEAT_SECONDS": "1", "STALE_SECONDS": "4", **_stand_in_environment()}
    cycle = start(project, seconds=8)
    worker = start_worker(**quick)
    enqueue(tasks.advance, cycle.pk)
    until(lambda: Run.objects.filter(cycle=cycle, progress_done__gt=1).exists(), 60, "the training")
    run = Run.objects.get(cycle=cycle)
    os.killpg(worker.pid, signal.SIGKILL)
    until(lambda: not alive(starts(run)[0]), 10, "the end of the orphan")
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)  # the old release serves on
    start_worker(**quick)
    time.sleep(5)
    enqueue(tasks.sweep)
    until(lambda: _state(cycle) in (JobState.DONE, JobState.FAILED), 90, "the end of the cycle")
    run.refresh_from_db()
    cycle.refresh_from_db()
    assert (cycle.state, run.state) == (JobState.DONE, JobState.DONE), cycle.reason
    assert (run.attempts, len(starts(run))) == (2, 2)
    assert Decision.objects.filter(evaluation__cycle=cycle).count() == 1


@pytest.mark.slow
def test_a_worker_killed_while_building_the_index_leaves_one_build_that_is_taken_up(
    project: Project, release: Release, settled: list[Query], start_worker: Start, until: Until
) -> None:
    quick = {"HEARTBEAT_SECONDS": "1", "STALE_SECONDS": "4"}
    slow = quick | {"DJANGO_SETTINGS_MODULE": "tests.tuning.slow_build_settings"}
    cycle = start(project)
    training_cycle.advance(cycle, "test")
    training_cycle.advance(cycle, "test")
    worker = start_worker(**slow)
    enqueue(tasks.advance, cycle.pk)
    until(lambda: IndexBuild.objects.running().exists(), 60, "the build")
    os.killpg(worker.pid, signal.SIGKILL)
    build = IndexBuild.objects.running().get()
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)  # the old release serves on
    start_worker(**quick)
    time.sleep(5)
    enqueue(tasks.sweep)
    until(lambda: _state(cycle) in (JobState.DONE, JobState.FAILED), 90, "the end of the cycle")
    cycle.refresh_from_db()
    build.refresh_from_db()
    assert (cycle.state, build.state) == (JobState.DONE, JobState.DONE), cycle.reason
    assert IndexBuild.objects.count() == 2
    assert cycle.challenger is not None and cycle.challenger.build == build


def _state(cycle: Cycle) -> str:
    return str(Cycle.objects.values_list("state", flat=True).get(pk=cycle.pk))


def _stand_in_environment() -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "tests.tuning.stand_in_settings"}
