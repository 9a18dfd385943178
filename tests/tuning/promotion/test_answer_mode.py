"""Choice of the answer mode on dev queries, with the answers of a real generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.models import Generator, Project, Query, Release
from curation.releases import lifecycle
from tests.tiny_models import tiny_generator
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
    monkeypatch.setattr(answer_mode, "MIN_QUERIES", 1)
    Release.objects.filter(pk=release.pk).update(answer_passages=2)
    folder = tiny_generator(tmp_path / "tiny", window=4096)
    generator = Generator.objects.create(name="tiny", base_path=str(folder), sha256="1" * 64, parent=release.generator)
    cycle = training_cycle.start(project, only=Component.GENERATOR)
    assert training_cycle.advance(cycle, "test"), cycle.reason
    (run,) = training_runs.get_or_create_runs(cycle)
    run.generator = generator
    run.save(update_fields=["generator"])
    run.finish()
    return run


@pytest.mark.parametrize(
    "figures, expected",
    [((0.2, 0.3), "parallel"), ((0.3, 0.2), "together"), ((0.3, 0.3), "together")],
)
def test_the_better_mode_is_chosen_and_the_cheaper_of_equal_ones(figures: tuple[float, float], expected: str) -> None:
    assert answer_mode.ModeComparison(9, *figures).better == expected


def test_a_challenger_has_the_better_mode_on_dev(run: Run) -> None:
    challenger = candidate.get_or_create_candidate(run.cycle, "test", lambda *_: None)
    run.refresh_from_db()
    figures = run.record["answer_mode"]
    answered = [row for row in collect.read_rows(run.dataset, DEV) if row.answer or row.is_unanswerable]
    assert figures["queries"] == len(answered)
    assert challenger.answer_mode == figures["chosen"]
    assert (figures["parallel"] > figures["together"]) == (figures["chosen"] == "parallel")
    assert challenger.generator == run.generator


def test_with_one_passage_there_is_nothing_to_choose(run: Run, release: Release) -> None:
    Release.objects.filter(pk=release.pk).update(answer_passages=1, answer_mode=Release.AnswerMode.PARALLEL)
    challenger = candidate.get_or_create_candidate(run.cycle, "test", lambda *_: None)
    run.refresh_from_db()
    assert "answer_mode" not in run.record
    assert challenger.answer_mode == Release.AnswerMode.PARALLEL
    assert lifecycle.live_release(run.cycle.project).pk == release.pk
