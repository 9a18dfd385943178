"""What `python -m bench` says before it measures anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def bench(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    environment = {**os.environ, "BENCH_DATA": str(data)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_help_measures_nothing(tmp_path: Path) -> None:
    told = bench("--help", data=tmp_path)
    assert told.returncode == 0 and "There are answers, judging, killing" in told.stdout


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    told = bench("speed", data=tmp_path)
    assert told.returncode == 2 and told.stderr.startswith("no benchmark is called speed; there are answers,")


@pytest.mark.slow
def test_without_its_collection_a_benchmark_says_which_and_the_next_has_its_turn(tmp_path: Path) -> None:
    told = bench("steps", "retriever", data=tmp_path)
    assert told.returncode == 1
    missing = f"there is no collection feedbackqa under {tmp_path}; BENCH_DATA names the folder they are in"
    assert told.stderr.splitlines()[-2:] == [f"steps was left out: {missing}", f"retriever was left out: {missing}"]
