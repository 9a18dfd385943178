"""Specification of a training process, with drafts and edits from the database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from curation.engine.generation.generator import TextGenerator
from curation.models import Answer, Draft, Project, Query, Ranking, Release, ShownPassage
from curation.releases import lifecycle
from retrieval.models import Passage
from tests.tiny_models import tiny_generator
from tuning.cycles import training_cycle
from tuning.engine.data.examples import TEST, read_passage_lists, read_passages, read_queries
from tuning.engine.data.instances import Recipe, build_instances
from tuning.evaluation import offline_run
from tuning.models import Component, Run
from tuning.training import specification, training_runs

pytestmark = pytest.mark.django_db(transaction=True)


def drafted(query: Query, release: Release, passages: list[Passage], text: str) -> None:
    ranking = Ranking.objects.create(query=query, release=release)
    for rank, passage in enumerate(passages, start=1):
        ShownPassage.objects.create(ranking=ranking, passage=passage, rank=rank)
    Answer.objects.filter(query=query).update(draft=Draft.objects.create(ranking=ranking, text=text))


@pytest.fixture
def run(project: Project, release: Release, settled: list[Query], passages: dict[str, Passage]) -> Run:
    """A generator's run; each query but the last has an edited draft from two passages."""
    for query in settled[:-1]:
        drafted(query, release, [passages["whale"], passages["otter"]], "Nobody has ever said so.")
    cycle = training_cycle.start(project, only=Component.GENERATOR)
    assert training_cycle.advance(cycle, "test"), cycle.reason
    (run,) = training_runs.get_or_create_runs(cycle)
    return run


def test_edited_drafts_come_with_their_passages(
    run: Run, release: Release, passages: dict[str, Passage], tmp_path: Path
) -> None:
    Release.objects.filter(pk=release.pk).update(answer_passages=2)
    spec = specification.write_specification(run, tmp_path, lambda *_: None)
    draft_passages = read_passage_lists(Path(spec["drafted"]))
    rows = read_queries(Path(spec["queries"]))
    training_ids = {row.query_id for row in rows if row.split != TEST and row.answer and row.draft}
    assert training_ids and set(draft_passages) == training_ids
    assert set(map(tuple, draft_passages.values())) == {(str(passages["whale"].pk), str(passages["otter"].pk))}
    written_ids = {row.passage_id for row in read_passages(Path(spec["passages"]))}
    assert {passage_id for passage_ids in draft_passages.values() for passage_id in passage_ids} <= written_ids
    assert spec["answer_passages"] == 2


def test_a_prompt_in_parallel_mode_has_one_passage(run: Run, release: Release, tmp_path: Path) -> None:
    Release.objects.filter(pk=release.pk).update(answer_passages=3, answer_mode=Release.AnswerMode.PARALLEL)
    assert specification.write_specification(run, tmp_path, lambda *_: None)["answer_passages"] == 1


def test_instances_have_exactly_the_prompt_of_the_release(
    run: Run, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a query whose relevant passage is retrieved: the prompt that the release builds from the same ranking."""
    prompts_seen: list[str] = []

    class RecordingGenerator(TextGenerator):
        def generate(self, prompts: Sequence[str], *_more: Any, **_named: Any) -> list[str]:
            prompts_seen.extend(prompts)
            return ["" for _prompt in prompts]

    generator = RecordingGenerator(tiny_generator(tmp_path / "tiny", window=4096))
    monkeypatch.setattr(lifecycle, "load_generator", lambda _release: generator)
    Release.objects.filter(pk=release.pk).update(answer_passages=2)
    served = lifecycle.live_release(run.cycle.project)
    spec = specification.write_specification(run, tmp_path, lambda *_: None)
    rows = {row.query_id: row for row in read_queries(Path(spec["queries"])) if row.split != TEST}
    recipe = Recipe(spec["prompt"], spec["refusal"], spec["answer_passages"])
    texts = {row.passage_id: row.text for row in read_passages(Path(spec["passages"]))}
    candidates = read_passage_lists(Path(spec["candidates"]))
    instances = build_instances(
        list(rows.values()), texts, candidates, recipe, count_tokens=generator.count_tokens, seed=0, min_grade=2
    )
    shown = {
        query_id: offline_run.rank(served, {query_id: row.text}, 2, lambda *_: None) for query_id, row in rows.items()
    }
    compared = 0
    for instance in instances:
        ranking = shown[instance.query_id]
        if instance.kind == "answer" and any(
            rows[instance.query_id].grades.get(str(hit.passage_id), 0) >= 2 for hit in ranking[instance.query_id]
        ):
            prompts_seen.clear()
            offline_run.generate_answers(
                served, {instance.query_id: rows[instance.query_id].text}, ranking, lambda *_: None
            )
            compared += prompts_seen == [instance.prompt]
            assert instance.answer == rows[instance.query_id].answer.strip()
    assert compared >= 3


def test_settings_of_an_earlier_version_are_written_under_the_keys_of_today(run: Run, tmp_path: Path) -> None:
    run.cycle.settings = {"generator": {"most_steps": 3, "looks": 1, "lr": 0.1}}
    spec = specification.write_specification(run, tmp_path, lambda *_: None)
    assert spec["settings"] == {"max_steps": 3, "evaluations": 1, "lr": 0.1}
