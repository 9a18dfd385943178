"""What a training process is given: real drafts and edits of the database among it."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.models import Answer, Draft, Project, Query, Ranking, Release, ShownPassage
from retrieval.models import Passage
from tuning import specifying, training, turning
from tuning.engine import preferences
from tuning.engine.examples import TEST, read_passages, read_queries
from tuning.models import Part, Run

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
    turn = turning.start(project, only=Part.GENERATOR)
    assert turning.advance(turn, "test"), turn.reason
    (found,) = training.prepare(turn)
    return found


def test_drafts_that_were_edited_come_with_what_they_were_written_from(
    run: Run, release: Release, passages: dict[str, Passage], tmp_path: Path
) -> None:
    Release.objects.filter(pk=release.pk).update(answer_passages=2)
    spec = specifying.specification(run, tmp_path, lambda *_: None)
    found = preferences.read_drafted(Path(spec["drafted"]))
    rows = read_queries(Path(spec["queries"]))
    learned = {row.query_id for row in rows if row.split != TEST and row.answer and row.draft}
    assert learned and set(found) == learned
    assert set(map(tuple, found.values())) == {(str(passages["whale"].pk), str(passages["otter"].pk))}
    known = {row.passage_id for row in read_passages(Path(spec["passages"]))}
    assert {passage for shown in found.values() for passage in shown} <= known
    assert spec["answer_passages"] == 2


def test_a_prompt_in_parallel_holds_one_passage(run: Run, release: Release, tmp_path: Path) -> None:
    Release.objects.filter(pk=release.pk).update(answer_passages=3, answering=Release.Answering.PARALLEL)
    assert specifying.specification(run, tmp_path, lambda *_: None)["answer_passages"] == 1
