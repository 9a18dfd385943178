"""The `loop` command: a training cycle in the foreground."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from common.jobs import JobState
from curation.models import Project, Query, Release
from curation.releases import lifecycle
from tests.conftest import process_environment
from tuning.cycles import training_cycle
from tuning.models import Cycle, Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def stand_in(settings: Any) -> None:
    settings.TRAINERS = {"retriever": "tests.tuning.trainer"}


def test_it_reports_each_step_and_ends_with_json(project: Project, release: Release, settled: list[Query]) -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command("loop", project="zoo", only="retriever", gate="always", json=True, stdout=out, stderr=err)
    result = json.loads(out.getvalue().strip().splitlines()[-1])
    assert result.keys() == {"dataset", "runs", "evaluation", "decision", "release"}
    assert result["decision"]["promoted"] is True
    assert result["release"] == {"challenger": 2, "serving": 2}
    assert [run["part"] for run in result["runs"]] == ["retriever"]
    steps = [line.partition(":")[0] for line in err.getvalue().splitlines() if ": " in line]
    assert steps == ["collecting", "training", "indexing", "evaluating", "deciding"]


def test_it_reports_the_training_of_the_reranker(
    project: Project, release: Release, settled: list[Query], settings: Any
) -> None:
    settings.TRAINERS = dict.fromkeys(["retriever", "reranker"], "tests.tuning.trainer")
    out = io.StringIO()
    call_command("loop", project="zoo", only="retriever", reranker=True, stdout=out, stderr=io.StringIO())
    steps = dict(line.split(": ", 1) for line in out.getvalue().splitlines() if ": " in line)
    assert steps["indexing"] == "done" and "dev chose copy" in steps["training the reranker"]


def test_a_cycle_that_fails_ends_with_status_1_and_its_reason(project: Project, release: Release) -> None:
    with pytest.raises(CommandError, match="0 resolved queries can be used") as error:
        call_command("loop", project="zoo")
    assert error.value.returncode == 1


def test_a_second_cycle_of_a_project_fails_with_the_reason(project: Project, release: Release) -> None:
    training_cycle.start(project)
    with pytest.raises(CommandError, match="already has an unfinished cycle") as error:
        call_command("loop", project="zoo")
    assert error.value.returncode == 1


@pytest.mark.parametrize(
    "options", [{"project": "nowhere"}, {"project": "zoo", "seed": -1}, {"project": "zoo", "budget": 0.0}]
)
def test_bad_usage_ends_with_status_2(project: Project, options: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as error:
        call_command("loop", **options)
    assert error.value.returncode == 2
    assert not Cycle.objects.exists()


@pytest.mark.slow
def test_ctrl_c_ends_the_training_and_cancels_the_cycle(
    project: Project, release: Release, settled: list[Query], until: Callable[..., None], tmp_path: Path
) -> None:
    environment = process_environment() | {"DJANGO_SETTINGS_MODULE": "tests.tuning.stand_in_settings"}
    Path(tmp_path / "go.py").write_text(
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell is deaf to it
        "import django; django.setup()\n"
        "from tuning.cycles import training_cycle\n"
        "whole = training_cycle.start\n"
        "training_cycle.start = lambda *a, **k: whole(*a, **k | {'settings': {'retriever': {'seconds': 30}}})\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(['manage.py', 'loop', '--project', 'zoo', '--only', 'retriever'])\n"
    )
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, str(tmp_path / "go.py")]
    process = subprocess.Popen(
        command, cwd=root, env=environment | {"PYTHONPATH": str(root)}, stderr=subprocess.PIPE, start_new_session=True
    )
    until(lambda: Run.objects.filter(progress_done__gt=0).exists(), 60, "the training")
    child = Run.objects.get().pid
    os.kill(process.pid, signal.SIGINT)
    _out, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"stopped from the keyboard" in errors
    assert child is not None and not Path(f"/proc/{child}").exists()
    assert (Cycle.objects.get().state, Run.objects.get().state) == (JobState.CANCELLED, JobState.CANCELLED)
    assert lifecycle.live_release(project) == release


def _orphan(project: Project, **fields: Any) -> Cycle:
    """A cycle as a killed process leaves it: running, and claimed by a process that has ended."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    cycle = training_cycle.start(project, **fields)
    assert cycle.claim(f"{socket.gethostname()[:60]}:{dead.pid}:0000")
    return cycle


def test_it_resumes_the_cycle_of_a_killed_process(project: Project, release: Release, settled: list[Query]) -> None:
    orphan = _orphan(project, only="retriever", gate="always")
    out = io.StringIO()
    call_command("loop", project="zoo", only="retriever", gate="always", stdout=out, stderr=io.StringIO())
    orphan.refresh_from_db()
    assert orphan.state == JobState.DONE
    assert f"resuming cycle {orphan.pk}" in out.getvalue()
    assert Cycle.objects.count() == 1


def test_an_orphaned_cycle_with_other_settings_is_cancelled_with_the_reason(
    project: Project, release: Release, settled: list[Query]
) -> None:
    orphan = _orphan(project, only="retriever", seed=7)
    call_command("loop", project="zoo", only="retriever", gate="always", stdout=io.StringIO(), stderr=io.StringIO())
    orphan.refresh_from_db()
    assert orphan.state == JobState.CANCELLED
    assert "The worker was lost" in orphan.reason
