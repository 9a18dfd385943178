"""One turn of the loop: its steps, its ends, and what a kill leaves behind.

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
from tuning.models import Decision, Evaluation, Part, Run, Turn
from tuning.promotion import candidate
from tuning.training import training_runs

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., subprocess.Popen[bytes]]
Until = Callable[..., None]


@pytest.fixture(autouse=True)
def stand_in(settings: Any) -> None:
    settings.TRAINERS = {"retriever": "tests.tuning.trainer"}
    settings.HEARTBEAT_SECONDS = 1


def start(project: Project, **retriever: object) -> Turn:
    return training_cycle.start(project, only=Part.RETRIEVER, settings={"retriever": retriever})


def go_round(turn: Turn) -> list[str]:
    """The steps that were done, in their order."""
    steps = []
    while turn.state == JobState.QUEUED:
        steps.append(turn.step)
        assert training_cycle.advance(turn, "test")
    return steps


def starts(run: Run) -> list[int]:
    path = training_runs.folder(run) / "starts.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_turn_goes_through_its_steps_and_ends_with_a_decision(
    project: Project, release: Release, settled: list[Query]
) -> None:
    turn = start(project)
    assert go_round(turn) == ["collect", "train", "index", "evaluate", "decide"]
    assert turn.state == JobState.DONE, turn.reason
    run, evaluation = turn.runs.get(), turn.evaluation
    assert run.encoder is not None and run.encoder.parent == release.build.encoder
    assert len(run.record["code"]["sha256"]) == 64
    assert run.record["choice"] == "copy" and run.loss == pytest.approx(0.1)
    assert turn.challenger is not None and turn.challenger.build.encoder == run.encoder
    # the copy ranks as the original does: the dense share, learned on dev, may differ, a gain is not promised
    assert set(evaluation.measures) >= {"ndcg@10", "recall@20", "mrr@10", "judged@10"}
    assert evaluation.measures["ndcg@10"]["queries"] == len(evaluation.per_query)
    assert Decision.objects.get().evaluation == evaluation


def test_always_promotes_and_the_release_before_can_come_back(
    project: Project, release: Release, settled: list[Query]
) -> None:
    turn = training_cycle.start(project, only=Part.RETRIEVER, gate="always")
    go_round(turn)
    assert lifecycle.serving(project) == turn.challenger
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)
    assert lifecycle.roll_back(project) == release
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)


def test_a_project_has_one_unfinished_turn(project: Project) -> None:
    training_cycle.start(project)
    with pytest.raises(training_cycle.AlreadyTurning):
        training_cycle.start(project)


def test_too_little_work_fails_the_turn_with_its_reason(
    project: Project, release: Release, settle: Callable[..., Query]
) -> None:
    settle("One question", {"lion": 1})
    turn = start(project)
    go_round(turn)
    assert turn.state == JobState.FAILED
    assert "1 settled queries teach something" in turn.reason
    training_cycle.start(project)  # the way is free again


def test_a_training_that_gives_up_fails_the_turn_with_its_reason(
    project: Project, release: Release, settled: list[Query]
) -> None:
    turn = start(project, fail="the loss is not a number")
    go_round(turn)
    assert (turn.state, turn.reason) == (JobState.FAILED, "the loss is not a number")
    assert turn.runs.get().state == JobState.FAILED
    assert lifecycle.serving(project) == release


def test_a_half_without_anything_to_learn_from_is_left_out(
    project: Project, release: Release, settle: Callable[..., Query]
) -> None:
    for n, name in enumerate(["lion", "tiger", "zebra", "panda", "otter", "eagle", "crow", "shark", "whale", "snail"]):
        query = settle(f"{name} {n}", {name: 3}, "x")
        query.reviews.update(answer="")
    turn = training_cycle.start(project)
    go_round(turn)
    assert turn.state == JobState.DONE, turn.reason
    assert [run.part for run in turn.runs.all()] == [Part.RETRIEVER]
    assert "no" not in training_runs.left_out(turn).get("retriever", "")
    assert "answers" in training_runs.left_out(turn)["generator"]


def test_cancelling_ends_the_training(project: Project, release: Release, settled: list[Query], until: Until) -> None:
    turn = start(project, seconds=60)
    training_cycle.advance(turn, "test")
    worker = threading.Thread(target=_advance_and_close, args=(turn.pk,))
    worker.start()
    try:
        until(lambda: Run.objects.filter(turn=turn, pid__isnull=False).exists(), 30, "the training")
        run = Run.objects.get(turn=turn)
        until(lambda: starts(run), 30, "its start")
        assert training_cycle.cancel(turn, "no longer wanted")
        worker.join(30)
        assert not worker.is_alive()
        assert not alive(starts(run)[0])
    finally:
        worker.join(60)
    turn.refresh_from_db()
    run.refresh_from_db()
    assert (turn.state, run.state) == (JobState.CANCELLED, JobState.CANCELLED)


def _advance_and_close(turn_id: int) -> None:
    training_cycle.advance(Turn.objects.get(pk=turn_id), "worker")
    connections.close_all()


def test_a_step_done_before_the_worker_died_is_not_done_again(
    project: Project, release: Release, settled: list[Query]
) -> None:
    turn = start(project)
    for _step in ("collect", "train", "index", "evaluate"):
        training_cycle.advance(turn, "test")
        done = turn.step
    assert done == "decide"
    # as if the worker had died after each step's work and before moving on
    for step in ("train", "index", "evaluate"):
        Turn.objects.update(step=step)
        turn.refresh_from_db()
        training_cycle.advance(turn, "test")
        assert turn.state == JobState.QUEUED, turn.reason
    assert len(starts(turn.runs.get())) == 1
    assert IndexBuild.objects.count() == 2
    assert Release.objects.count() == 2
    assert Evaluation.objects.count() == 1


def test_a_result_whose_registration_was_lost_is_registered_without_training_again(
    project: Project, release: Release, settled: list[Query]
) -> None:
    turn = start(project)
    training_cycle.advance(turn, "test")
    training_cycle.advance(turn, "test")
    run = turn.runs.get()
    Run.objects.update(state=JobState.RUNNING, encoder=None, worker="gone")
    Turn.objects.update(step="train")
    turn.refresh_from_db()
    training_cycle.advance(turn, "test")
    run.refresh_from_db()
    assert (run.state, run.encoder is not None, len(starts(run))) == (JobState.DONE, True, 1)


def test_a_checkpoint_that_was_changed_on_disk_is_refused(
    project: Project, release: Release, settled: list[Query]
) -> None:
    turn = start(project)
    training_cycle.advance(turn, "test")
    training_cycle.advance(turn, "test")
    (training_runs.folder(turn.runs.get()) / "checkpoint" / "modules.json").write_text("[]")
    Run.objects.update(state=JobState.RUNNING, encoder=None, worker="gone")
    Turn.objects.update(step="train")
    turn.refresh_from_db()
    training_cycle.advance(turn, "test")
    assert turn.state == JobState.FAILED
    assert "is not what was written" in turn.reason


def test_a_worker_that_is_lost_too_often_fails_the_turn(
    project: Project, release: Release, settled: list[Query]
) -> None:
    turn = start(project)
    long_ago = timezone.now() - timedelta(hours=1)
    for _attempt in range(Turn.MOST_ATTEMPTS):
        assert turn.claim("doomed")
        Turn.objects.update(heartbeat_at=long_ago)
        training_cycle.sweep()
        turn.refresh_from_db()
    assert turn.state == JobState.FAILED
    assert "its worker fell silent while collecting" in turn.reason


def test_a_sweep_names_a_waiting_turn_once_until_it_is_silent_again(project: Project) -> None:
    turn = training_cycle.start(project)
    assert training_cycle.sweep() == []  # its message has just been sent
    Turn.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert training_cycle.sweep() == [turn]
    assert training_cycle.sweep() == []


def test_old_builds_give_their_disk_back_but_base_and_the_two_before_stay(
    project: Project, release: Release, settled: list[Query]
) -> None:
    for mark in "abcd":
        turn = training_cycle.start(project, only=Part.RETRIEVER, gate="always", settings={"retriever": {"mark": mark}})
        go_round(turn)
        assert turn.state == JobState.DONE, turn.reason
    kept = IndexBuild.objects.searchable().order_by("number").values_list("number", flat=True)
    assert list(kept) == [1, 3, 4, 5]  # base, two before, serving
    assert candidate.tidy(project) == []
    assert search.search(release.build, "bamboo", 3)


@pytest.mark.slow
def test_a_worker_killed_while_training_leaves_one_training_and_the_turn_goes_on(
    project: Project, release: Release, settled: list[Query], start_worker: Start, until: Until
) -> None:
    quick = {"HEARTBEAT_SECONDS": "1", "STALE_SECONDS": "4", **_stand_in_environment()}
    turn = start(project, seconds=8)
    worker = start_worker(**quick)
    enqueue(tasks.advance, turn.pk)
    until(lambda: Run.objects.filter(turn=turn, progress_done__gt=1).exists(), 60, "the training")
    run = Run.objects.get(turn=turn)
    os.killpg(worker.pid, signal.SIGKILL)
    until(lambda: not alive(starts(run)[0]), 10, "the end of the orphan")
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)  # the old release serves on
    start_worker(**quick)
    time.sleep(5)
    enqueue(tasks.sweep)
    until(lambda: _state(turn) in (JobState.DONE, JobState.FAILED), 90, "the end of the turn")
    run.refresh_from_db()
    turn.refresh_from_db()
    assert (turn.state, run.state) == (JobState.DONE, JobState.DONE), turn.reason
    assert (run.attempts, len(starts(run))) == (2, 2)
    assert Decision.objects.filter(evaluation__turn=turn).count() == 1


@pytest.mark.slow
def test_a_worker_killed_while_building_the_index_leaves_one_build_that_is_taken_up(
    project: Project, release: Release, settled: list[Query], start_worker: Start, until: Until
) -> None:
    quick = {"HEARTBEAT_SECONDS": "1", "STALE_SECONDS": "4"}
    slow = quick | {"DJANGO_SETTINGS_MODULE": "tests.tuning.slow_build_settings"}
    turn = start(project)
    training_cycle.advance(turn, "test")
    training_cycle.advance(turn, "test")
    worker = start_worker(**slow)
    enqueue(tasks.advance, turn.pk)
    until(lambda: IndexBuild.objects.running().exists(), 60, "the build")
    os.killpg(worker.pid, signal.SIGKILL)
    build = IndexBuild.objects.running().get()
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)  # the old release serves on
    start_worker(**quick)
    time.sleep(5)
    enqueue(tasks.sweep)
    until(lambda: _state(turn) in (JobState.DONE, JobState.FAILED), 90, "the end of the turn")
    turn.refresh_from_db()
    build.refresh_from_db()
    assert (turn.state, build.state) == (JobState.DONE, JobState.DONE), turn.reason
    assert IndexBuild.objects.count() == 2
    assert turn.challenger is not None and turn.challenger.build == build


def _state(turn: Turn) -> str:
    return str(Turn.objects.values_list("state", flat=True).get(pk=turn.pk))


def _stand_in_environment() -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "tests.tuning.stand_in_settings"}
