"""What a training process is given: real drafts and edits of the database among it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from curation.engine.generation.generator import TextGenerator
from curation.models import Answer, Draft, Project, Query, Ranking, Release, ShownPassage
from curation.releases import lifecycle
from retrieval.models import Passage
from tests.tiny import tiny_generator
from tuning.cycles import training_cycle
from tuning.engine.data.examples import TEST, read_passages, read_queries
from tuning.engine.data.instances import Recipe, make, read_candidates
from tuning.engine.generator import preference_pairs
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
    """A generator's run; each query's draft but the last was written from two passages, and edited."""
    for query in settled[:-1]:
        drafted(query, release, [passages["whale"], passages["otter"]], "Nobody has ever said so.")
    cycle = training_cycle.start(project, only=Component.GENERATOR)
    assert training_cycle.advance(cycle, "test"), cycle.reason
    (found,) = training_runs.prepare(cycle)
    return found


def test_drafts_that_were_edited_come_with_what_they_were_written_from(
    run: Run, release: Release, passages: dict[str, Passage], tmp_path: Path
) -> None:
    Release.objects.filter(pk=release.pk).update(answer_passages=2)
    spec = specification.specification(run, tmp_path, lambda *_: None)
    found = preference_pairs.read_drafted(Path(spec["drafted"]))
    rows = read_queries(Path(spec["queries"]))
    learned = {row.query_id for row in rows if row.split != TEST and row.answer and row.draft}
    assert learned and set(found) == learned
    assert set(map(tuple, found.values())) == {(str(passages["whale"].pk), str(passages["otter"].pk))}
    known = {row.passage_id for row in read_passages(Path(spec["passages"]))}
    assert {passage for shown in found.values() for passage in shown} <= known
    assert spec["answer_passages"] == 2


def test_a_prompt_in_parallel_holds_one_passage(run: Run, release: Release, tmp_path: Path) -> None:
    Release.objects.filter(pk=release.pk).update(answer_passages=3, answer_mode=Release.AnswerMode.PARALLEL)
    assert specification.specification(run, tmp_path, lambda *_: None)["answer_passages"] == 1


def test_instances_have_the_prompt_the_release_serves_to_the_letter(
    run: Run, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a query whose good passage is retrieved: what serving builds from the same ranking, and the answer whole."""
    asked: list[str] = []

    class Asked(TextGenerator):
        def generate(self, prompts: Sequence[str], *_more: Any, **_named: Any) -> list[str]:
            asked.extend(prompts)
            return ["" for _prompt in prompts]

    generator = Asked(tiny_generator(tmp_path / "tiny", window=4096))
    monkeypatch.setattr(lifecycle, "generator_for", lambda _release: generator)
    Release.objects.filter(pk=release.pk).update(answer_passages=2)
    served = lifecycle.serving(run.cycle.project)
    spec = specification.specification(run, tmp_path, lambda *_: None)
    rows = {row.query_id: row for row in read_queries(Path(spec["queries"])) if row.split != TEST}
    recipe = Recipe(spec["prompt"], spec["refusal"], spec["answer_passages"])
    texts = {row.passage_id: row.text for row in read_passages(Path(spec["passages"]))}
    candidates = read_candidates(Path(spec["candidates"]))
    made = make(
        list(rows.values()), texts, candidates, recipe, count_tokens=generator.count_tokens, seed=0, good_from=2.0
    )
    shown = {
        query_id: offline_run.rank(served, {query_id: row.text}, 2, lambda *_: None) for query_id, row in rows.items()
    }
    compared = 0
    for one in made:
        ranking = shown[one.query_id]
        if one.kind == "answer" and any(
            rows[one.query_id].grades.get(str(hit.passage_id), 0) >= 2 for hit in ranking[one.query_id]
        ):
            asked.clear()
            offline_run.write(served, {one.query_id: rows[one.query_id].text}, ranking, lambda *_: None)
            compared += asked == [one.prompt]
            assert one.answer == rows[one.query_id].answer.strip()
    assert compared >= 3
