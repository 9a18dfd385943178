"""A training process is followed by the lines that it writes itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuning.training.process import METRICS, SPEC, TrainingProcess


@pytest.mark.slow
def test_the_lines_of_a_killed_process_are_not_read(tmp_path: Path) -> None:
    (tmp_path / SPEC).write_text("{}")
    (tmp_path / METRICS).write_text('{"step": 1}\n{"step": 2, "loss": 0.25}\n')
    with TrainingProcess("this", tmp_path, 1) as process:  # the Zen of Python as a module: prints, writes nothing, ends
        assert [line for lines in process.metrics() for line in lines] == []
    assert not (tmp_path / METRICS).exists()
