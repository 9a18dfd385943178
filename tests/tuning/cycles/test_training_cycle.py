"""A training cycle: its steps, its ends, and its recovery after a kill.

The training here is a process that learns nothing (trainer.py); test_loop has real trainings.
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


def run_cycle(cycle: Cycle) -> list[str]:
    """Run all steps and return them, in order."""
    steps = []
    while cycle.state == JobState.QUEUED:
        steps.append(cycle.step)
        assert training_cycle.advance(cycle, "test")
    return steps


def starts(run: Run) -> list[int]:
    path = training_runs.run_folder(run) / "starts.txt"
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
    assert run_cycle(cycle) == ["collect", "train", "index", "evaluate", "decide"]  # no reranker to train
    assert cycle.state == JobState.DONE, cycle.reason
    run, evaluation = cycle.runs.get(), cycle.evaluation
    assert run.encoder is not None and run.encoder.parent == release.build.encoder
    assert len(run.record["code"]["sha256"]) == 64
    assert run.record["choice"] == "copy" and run.loss == pytest.approx(0.1)
    assert cycle.challenger is not None and cycle.challenger.build.encoder == run.encoder
    # the copy ranks as the original does; the dense weight, learned on dev, may differ
    assert set(evaluation.measures) >= {"ndcg@10", "recall@20", "mrr@10", "judged@10"}
    assert evaluation.measures["ndcg@10"]["queries"] == len(evaluation.per_query)
    assert Decision.objects.get().evaluation == evaluation


def start_with_reranker(project: Project, settings: Any) -> Cycle:
    settings.TRAINERS = dict.fromkeys(["retriever", "reranker"], "tests.tuning.trainer")
    return training_cycle.start(project, only=Component.RETRIEVER, settings={"reranker": {"enabled": True}})


def test_a_reranker_is_trained_in_its_own_step_with_its_own_progress(
    project: Project, release: Release, settled: list[Query], settings: Any
) -> None:
    cycle = start_with_reranker(project, settings)
    notes: dict[str, set[str]] = {}
    while cycle.state == JobState.QUEUED:
        step = cycle.step
        training_cycle.advance(
            cycle, "test", lambda done, total, note, step=step: notes.setdefault(step, set()).add(str(note))
        )
        if step == "index":
            assert (cycle.step, cycle.challenger) == ("rerank", None)  # the candidate waits for its reranker
            assert IndexBuild.objects.done().count() == 2 and not Run.objects.filter(component="reranker").exists()
    assert cycle.state == JobState.DONE, cycle.reason
    assert "training the reranker" in notes["rerank"] and "training the reranker" not in notes["index"]
    run = cycle.runs.get(component=Component.RERANKER)
    assert run.state == JobState.DONE and cycle.challenger is not None
    assert (IndexBuild.objects.count(), Release.objects.count()) == (2, 2)


def test_the_reranker_step_needs_a_trained_retriever(
    project: Project, release: Release, settled: list[Query], settings: Any
) -> None:
    cycle = start_with_reranker(project, settings)
    assert run_cycle(cycle)[2:4] == ["index", "rerank"]
    assert not candidate.trains_reranker(Cycle.objects.create(project=project, state="done", settings=cycle.settings))
    assert not candidate.trains_reranker(Cycle.objects.create(project=project, state="done"))


def test_a_cycle_of_an_earlier_version_that_trained_its_reranker_in_the_index_step_continues(
    project: Project, release: Release, settled: list[Query], settings: Any
) -> None:
    cycle = start_with_reranker(project, settings)
    training_cycle.advance(cycle, "test")
    training_cycle.advance(cycle, "test")
    run = training_runs.get_or_create_reranker_run(cycle)  # its worker died in the training
    Run.objects.filter(pk=run.pk).update(state=JobState.RUNNING, worker="lost")
    assert run_cycle(cycle) == ["index", "rerank", "evaluate", "decide"]
    run.refresh_from_db()
    assert (cycle.state, run.state) == (JobState.DONE, JobState.DONE), cycle.reason
    assert cycle.runs.filter(component=Component.RERANKER).count() == 1


def test_always_promotes_and_the_release_before_can_be_rolled_back_to(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = training_cycle.start(project, only=Component.RETRIEVER, gate="always")
    run_cycle(cycle)
    assert lifecycle.live_release(project) == cycle.challenger
    assert search.search(lifecycle.live_release(project).build, "bamboo", 3)
    assert lifecycle.roll_back(project) == release
    assert search.search(lifecycle.live_release(project).build, "bamboo", 3)


def test_a_project_has_one_unfinished_cycle(project: Project) -> None:
    training_cycle.start(project)
    with pytest.raises(training_cycle.CycleInProgress):
        training_cycle.start(project)


def test_too_few_queries_fail_the_cycle_with_the_reason(
    project: Project, release: Release, settle: Callable[..., Query]
) -> None:
    settle("One question", {"lion": 1})
    cycle = start(project)
    run_cycle(cycle)
    assert cycle.state == JobState.FAILED
    assert "1 resolved queries can be used" in cycle.reason
    training_cycle.start(project)  # another cycle can start


def test_a_training_that_fails_fails_the_cycle_with_its_reason(
    project: Project, release: Release, settled: list[Query]
) -> None:
    cycle = start(project, fail="the loss is not a number")
    run_cycle(cycle)
    assert (cycle.state, cycle.reason) == (JobState.FAILED, "the loss is not a number")
    assert cycle.runs.get().state == JobState.FAILED
    assert lifecycle.live_release(project) == release


def test_a_component_without_training_data_is_skipped(
    project: Project, release: Release, settle: Callable[..., Query]
) -> None:
    for n, name in enumerate(["lion", "tiger", "zebra", "panda", "otter", "eagle", "crow", "shark", "whale", "snail"]):
        query = settle(f"{name} {n}", {name: 3}, "x")
        query.reviews.update(answer="")
    cycle = training_cycle.start(project)
    run_cycle(cycle)
    assert cycle.state == JobState.DONE, cycle.reason
    assert [run.component for run in cycle.runs.all()] == [Component.RETRIEVER]
    assert "no" not in training_runs.skipped_components(cycle).get("retriever", "")
    assert "answers" in training_runs.skipped_components(cycle)["generator"]


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
    assert cycle.step == "decide"
    # as if the worker had died after the work of each step and before the next step was stored
    for step in ("train", "index", "evaluate"):
        Cycle.objects.update(step=step)
        cycle.refresh_from_db()
        training_cycle.advance(cycle, "test")
        assert cycle.state == JobState.QUEUED, cycle.reason
    assert len(starts(cycle.runs.get())) == 1
    assert IndexBuild.objects.count() == 2
    assert Release.objects.count() == 2
    assert Evaluation.objects.count() == 1


def test_a_result_that_was_not_stored_is_stored_without_training_again(
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
    (training_runs.run_folder(cycle.runs.get()) / "checkpoint" / "modules.json").write_text("[]")
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
        training_cycle.recover_lost()
        cycle.refresh_from_db()
    assert cycle.state == JobState.FAILED
    assert "Worker stopped responding while collecting" in cycle.reason


def test_the_recovery_returns_a_waiting_cycle_once_until_it_is_overdue_again(project: Project) -> None:
    cycle = training_cycle.start(project)
    assert training_cycle.recover_lost() == []  # its message has just been sent
    Cycle.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert training_cycle.recover_lost() == [cycle]
    assert training_cycle.recover_lost() == []


def test_the_files_of_old_builds_are_deleted_except_the_base_and_two_before_the_live_one(
    project: Project, release: Release, settled: list[Query]
) -> None:
    for mark in "abcd":
        cycle = training_cycle.start(
            project, only=Component.RETRIEVER, gate="always", settings={"retriever": {"mark": mark}}
        )
        run_cycle(cycle)
        assert cycle.state == JobState.DONE, cycle.reason
    numbers = IndexBuild.objects.searchable().order_by("number").values_list("number", flat=True)
    assert list(numbers) == [1, 3, 4, 5]  # base, two before the live one, the live one
    assert candidate.retire_old_builds(project) == []
    assert search.search(release.build, "bamboo", 3)


@pytest.mark.slow
def test_a_worker_killed_while_training_leaves_no_orphan_and_the_cycle_continues(
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
    assert search.search(lifecycle.live_release(project).build, "bamboo", 3)  # the old release is still live
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
def test_a_worker_killed_while_building_the_index_leaves_one_build_that_is_resumed(
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
    assert search.search(lifecycle.live_release(project).build, "bamboo", 3)  # the old release is still live
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
