"""Retrieval of a release, with and without a reranker."""

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
from tests.tiny_models import tiny_reranker

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
    return lifecycle.create_candidate(project, reranker=reranker, rerank_depth=4, rerank_share=1.0)


def test_the_first_passages_are_in_the_rerankers_order_and_the_others_stay(
    reranked: Release, release: Release, weights: Path, passages: Mapping[str, Passage]
) -> None:
    before, after = retrieve.search(release, TEXT, 12), retrieve.search(reranked, TEXT, 12)
    texts = {passage.pk: passage.full_text for passage in passages.values()}
    scores = TextReranker(weights, hardware.fast_dtype()).scores([(TEXT, texts[hit.passage_id]) for hit in before[:4]])
    passage_ids = [before[row].passage_id for row in (-scores).argsort(kind="stable")]
    assert [hit.passage_id for hit in after[:4]] == passage_ids != [hit.passage_id for hit in before[:4]]
    assert after[4:] == before[4:]
    assert [hit.rank for hit in after] == list(range(1, 13))
    assert [hit.score for hit in after] == sorted((hit.score for hit in after), reverse=True)


def test_fewer_passages_than_the_depth_are_cut_from_the_reranked_list(reranked: Release) -> None:
    assert retrieve.search(reranked, TEXT, 2) == retrieve.search(reranked, TEXT, 12)[:2]
    assert retrieve.search(reranked, TEXT, 0) == retrieve.search(reranked, "  ", 5) == []


def test_without_a_reranker_the_hybrid_ranking_is_final(release: Release) -> None:
    assert retrieve.rerank_stage(release) is None
    plain = search.search(release.build, TEXT, 12, weight=release.fusion_weight)
    assert retrieve.search(release, TEXT, 12) == plain


def test_a_single_stage_is_not_reranked(reranked: Release, release: Release) -> None:
    for mode in ("dense", "lexical"):
        with_reranker, without = (retrieve.search_many(one, [TEXT], 12, mode) for one in (reranked, release))
        assert with_reranker == without


def test_queries_and_the_search_command_are_reranked(
    reranked: Release, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    lifecycle.promote(reranked)
    ranking = intake.ask(project, TEXT).rankings.get()
    passage_ids = [hit.passage_id for hit in retrieve.search(reranked, TEXT, project.pool_depth)]
    assert ranking.mode == Ranking.Mode.RERANKED
    assert list(ranking.shown.values_list("passage_id", flat=True)) == passage_ids
    call_command("search", TEXT, project=project.slug, k=3)
    output = capsys.readouterr().out
    names = Passage.objects.in_bulk(passage_ids[:3])
    positions = [output.index(f"  {names[pk].external_id}\n") for pk in passage_ids[:3]]
    assert positions == sorted(positions)


def test_the_next_release_keeps_the_reranker(reranked: Release, project: Project) -> None:
    lifecycle.promote(reranked)
    after = lifecycle.create_candidate(project)
    assert (after.reranker, after.rerank_depth, after.rerank_share) == (reranked.reranker, 4, 1.0)


def test_a_release_without_the_files_of_its_reranker_cannot_go_live(reranked: Release, reranker: Reranker) -> None:
    shutil.rmtree(rerank.folder(reranker))
    with pytest.raises(search.CannotSearch, match="runs/one holds no reranker"):
        retrieve.search(reranked, TEXT, 3)
    with pytest.raises(lifecycle.CannotGoLive, match="the files of its reranker are missing"):
        lifecycle.promote(reranked)
