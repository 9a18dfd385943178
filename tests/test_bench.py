"""Options and errors of `python -m bench`, without a measurement."""

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
    result = bench("--help", data=tmp_path)
    assert result.returncode == 0 and "Benchmarks: answers, judging, killing" in result.stdout


def test_an_unknown_benchmark_is_refused(tmp_path: Path) -> None:
    result = bench("speed", data=tmp_path)
    assert result.returncode == 2 and result.stderr.startswith("unknown benchmark speed; benchmarks: answers,")


@pytest.mark.slow
def test_a_benchmark_without_its_collection_is_skipped_with_the_reason(tmp_path: Path) -> None:
    result = bench("steps", "retriever", data=tmp_path)
    assert result.returncode == 1
    missing = f"no collection feedbackqa under {tmp_path}; set BENCH_DATA to the folder of collections"
    assert result.stderr.splitlines()[-2:] == [f"steps was skipped: {missing}", f"retriever was skipped: {missing}"]
