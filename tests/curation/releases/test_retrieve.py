"""What a release retrieves, with and without a reranker."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from common import artifacts
from curation.models import Project, Ranking, Release
from curation.queries import intake
from curation.releases import lifecycle, retrieve
from retrieval.engine import hardware
from retrieval.engine.encoders.cross_encoder import TextReranker
from retrieval.models import Passage, Reranker
from retrieval.search import rerank, search
from tests.conftest import KEYWORDS
from tests.tiny import tiny_reranker

TEXT = "hunts at night"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_reranker(tmp_path_factory.mktemp("reranker"), KEYWORDS)


@pytest.fixture
def reranker(db: None, weights: Path, tmp_path: Path, settings: Any) -> Reranker:
    settings.DATA_DIR = tmp_path
    search.close_all()
    shutil.copytree(weights, tmp_path / "runs" / "one")
    return Reranker.objects.create(name="tiny", path="runs/one", sha256=artifacts.folder_hash(weights))


@pytest.fixture
def reranked(reranker: Reranker, release: Release, project: Project) -> Release:
    return lifecycle.next_release(project, reranker=reranker, rerank_depth=4, rerank_share=1.0)


def test_the_first_stand_in_the_rerankers_order_and_the_others_stay(
    reranked: Release, release: Release, weights: Path, passages: Mapping[str, Passage]
) -> None:
    before, after = retrieve.search(release, TEXT, 12), retrieve.search(reranked, TEXT, 12)
    texts = {passage.pk: passage.full_text for passage in passages.values()}
    scores = TextReranker(weights, hardware.fast_dtype()).scores([(TEXT, texts[hit.passage_id]) for hit in before[:4]])
    wanted = [before[place].passage_id for place in (-scores).argsort(kind="stable")]
    assert [hit.passage_id for hit in after[:4]] == wanted != [hit.passage_id for hit in before[:4]]
    assert after[4:] == before[4:]
    assert [hit.rank for hit in after] == list(range(1, 13))
    assert [hit.score for hit in after] == sorted((hit.score for hit in after), reverse=True)


def test_fewer_than_the_depth_are_cut_from_what_was_reranked(reranked: Release) -> None:
    assert retrieve.search(reranked, TEXT, 2) == retrieve.search(reranked, TEXT, 12)[:2]
    assert retrieve.search(reranked, TEXT, 0) == retrieve.search(reranked, "  ", 5) == []


def test_without_a_reranker_nothing_is_read_and_nothing_changes(release: Release) -> None:
    assert retrieve.stage(release) is None
    plain = search.search(release.build, TEXT, 12, weight=release.fusion_weight)
    assert retrieve.search(release, TEXT, 12) == plain


def test_one_part_alone_is_looked_at_as_it_is(reranked: Release, release: Release) -> None:
    for mode in ("dense", "lexical"):
        found = [retrieve.search_many(one, [TEXT], 12, mode) for one in (reranked, release)]
        assert found[0] == found[1]


def test_what_is_asked_and_what_is_searched_by_command_is_reranked(
    reranked: Release, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    lifecycle.switch(reranked)
    ranking = intake.ask(project, TEXT).rankings.get()
    wanted = [hit.passage_id for hit in retrieve.search(reranked, TEXT, project.pool_depth)]
    assert ranking.mode == Ranking.Mode.RERANKED
    assert list(ranking.shown.values_list("passage_id", flat=True)) == wanted
    call_command("search", TEXT, project=project.slug, k=3)
    said = capsys.readouterr().out
    names = Passage.objects.in_bulk(wanted[:3])
    places = [said.index(f"  {names[pk].external_id}\n") for pk in wanted[:3]]
    assert places == sorted(places)


def test_the_next_release_keeps_the_reranker(reranked: Release, project: Project) -> None:
    lifecycle.switch(reranked)
    after = lifecycle.next_release(project)
    assert (after.reranker, after.rerank_depth, after.rerank_share) == (reranked.reranker, 4, 1.0)


def test_weights_that_are_gone_are_said_and_not_put_in_service(reranked: Release, reranker: Reranker) -> None:
    shutil.rmtree(rerank.folder(reranker))
    with pytest.raises(search.CannotSearch, match="runs/one holds no reranker"):
        retrieve.search(reranked, TEXT, 3)
    with pytest.raises(lifecycle.NotServable, match="its reranker is not there any more"):
        lifecycle.switch(reranked)
