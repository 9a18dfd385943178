"""Together or in parallel: measured on dev queries, with a real generator's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.models import Generator, Project, Query, Release
from curation.releases import lifecycle
from tests.tiny import tiny_generator
from tuning.cycles import training_cycle
from tuning.datasets import collect
from tuning.engine.data.examples import DEV
from tuning.models import Component, Run
from tuning.promotion import answer_mode, candidate
from tuning.training import training_runs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(project: Project, release: Release, settled: list[Query], tmp_path: Path, monkeypatch: Any) -> Run:
    """A generator's run as it is when it was trained; the release shows two passages."""
    monkeypatch.setattr(answer_mode, "LEAST_QUERIES", 1)
    Release.objects.filter(pk=release.pk).update(answer_passages=2)
    folder = tiny_generator(tmp_path / "tiny", window=4096)
    generator = Generator.objects.create(name="tiny", base_path=str(folder), sha256="1" * 64, parent=release.generator)
    cycle = training_cycle.start(project, only=Component.GENERATOR)
    assert training_cycle.advance(cycle, "test"), cycle.reason
    (found,) = training_runs.prepare(cycle)
    found.generator = generator
    found.save(update_fields=["generator"])
    found.finish()
    return found


@pytest.mark.parametrize(
    "figures, expected",
    [((0.2, 0.3), "parallel"), ((0.3, 0.2), "together"), ((0.3, 0.3), "together")],
)
def test_the_better_way_is_taken_and_of_equal_ones_the_cheaper(figures: tuple[float, float], expected: str) -> None:
    assert answer_mode.Tried(9, *figures).better == expected


def test_a_challenger_answers_the_way_that_was_measured_to_be_better(run: Run) -> None:
    challenger = candidate.challenger(run.cycle, "test", lambda *_: None)
    run.refresh_from_db()
    found = run.record["answering"]
    assert found["queries"] == len([row for row in collect.rows(run.dataset, DEV) if row.answer or row.is_unanswerable])
    assert challenger.answer_mode == found["chosen"]
    assert (found["parallel"] > found["together"]) == (found["chosen"] == "parallel")
    assert challenger.generator == run.generator


def test_with_one_passage_there_is_nothing_to_choose(run: Run, release: Release) -> None:
    Release.objects.filter(pk=release.pk).update(answer_passages=1, answer_mode=Release.AnswerMode.PARALLEL)
    challenger = candidate.challenger(run.cycle, "test", lambda *_: None)
    run.refresh_from_db()
    assert "answering" not in run.record
    assert challenger.answer_mode == Release.AnswerMode.PARALLEL
    assert lifecycle.serving(run.cycle.project).pk == release.pk
