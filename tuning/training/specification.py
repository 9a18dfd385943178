"""Specification of a training process: database rows are written as files, because the process has no database.

spec.json        paths, seed, settings; see `write_specification`
passages.jsonl   every passage of the index in the order of the vectors, then judged passages that are not in it
candidates.jsonl {"query_id", "passages": [ids, best first], "scores"} of the training and dev queries
drafted.jsonl    {"query_id", "passages"} of the queries with an edited draft: its passages; for a generator only
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from common import artifacts
from common.messages import StrOrMessage
from common.renamed_keys import with_current_keys
from curation.models import Release
from curation.releases import lifecycle, retrieve
from retrieval.index import encoders, vector_store
from retrieval.models import IndexBuild, Passage
from retrieval.search import search
from tuning.datasets import collect
from tuning.engine.data.examples import TEST, JudgedQuery, PassageText, write_passages
from tuning.engine.generator import preference_pairs
from tuning.engine.retriever.retriever_spec import read_spec
from tuning.evaluation import offline_run
from tuning.exports import instruction_data
from tuning.models import Component, Run
from tuning.training import lm_disagreement

PASSAGES, CANDIDATES, DRAFTED = "passages.jsonl", "candidates.jsonl", "drafted.jsonl"
BUDGET_SECONDS = 1800.0
SCORE_SECONDS = 480.0
CANDIDATE_DEPTH = 30
_BATCH = 2000

Progress = Callable[[int, int, StrOrMessage], None]


def write_specification(run: Run, out: Path, on_progress: Progress, candidate: Release | None = None) -> dict[str, Any]:
    """Write the files that the training needs to `out`, and return the content of spec.json.

    The cycle's settings override the defaults: `budget_seconds`, and the settings of the component under its name.
    candidate: the release that a reranker is trained for; the other components learn from the live release.
    """
    release = candidate or lifecycle.live_release(run.cycle.project)
    rows = collect.read_rows(run.dataset)
    build = release.build if run.component == Component.RERANKER else _build_with_vectors(run, release)
    drafted = _draft_passages(rows, release) if run.component == Component.GENERATOR else {}
    _write_passages(build, rows, drafted, out / PASSAGES)
    # A generator learns from passages as they are served. For the other components a reranker would only cost time.
    ranking_release = release if run.component == Component.GENERATOR else retrieve.without_reranker(release)
    overrides = run.cycle.settings
    own = with_current_keys(f"{run.component} settings", overrides.get(run.component, {}))
    own.pop("enabled", None)
    depth = max(CANDIDATE_DEPTH, own.get("depth", 0))
    _write_candidates(ranking_release, rows, out / CANDIDATES, depth, on_progress)
    shared = {
        "seed": run.seed,
        "threads": settings.COMPUTE_THREADS,
        "budget_seconds": float(overrides.get("budget_seconds", BUDGET_SECONDS)),
        "queries": str(collect.dataset_folder(run.dataset) / collect.ROWS),
        "passages": str(out / PASSAGES),
        "candidates": str(out / CANDIDATES),
        "settings": own,
    }
    if run.component == Component.RERANKER:
        return shared | _reranker_fields(run, build)
    if run.component == Component.RETRIEVER:
        return shared | _retriever_fields(run, build)
    _write_lists({query_id: {"passages": ids} for query_id, ids in drafted.items()}, out / DRAFTED)
    return shared | _generator_fields(run, release) | {"drafted": str(out / DRAFTED)}


def scoring_specification(run: Run, training_spec: dict[str, Any]) -> dict[str, Any]:
    """Return the specification of the LM scoring before a retriever's training: its files, and the live generator.

    Scored are the queries that the language model supervises, and a few others for the queue of curation: each costs
    seconds. Raises TrainingError for settings that the training does not have.
    """
    release = lifecycle.live_release(run.cycle.project)
    generator = release.generator
    retriever_settings = read_spec(training_spec).settings
    rows = [row for row in collect.read_rows(run.dataset) if row.split != TEST and row.is_answered]
    supervised = [row.query_id for row in rows if retriever_settings.is_lm_supervised(row.grades.values())]
    # Another order in each cycle: otherwise queries whose scores say nothing would always come first.
    answered = random.Random(run.cycle_id).sample([row.query_id for row in rows], len(rows))
    shared = {name: training_spec[name] for name in ("seed", "threads", "queries", "passages", "candidates")}
    seconds = run.cycle.settings.get("score_seconds") or min(SCORE_SECONDS, training_spec["budget_seconds"] / 3)
    return shared | {
        "base": generator.base_path,
        "adapter": str(Path(settings.DATA_DIR) / generator.adapter_path) if generator.adapter_path else "",
        "cache_dir": str(Path(settings.DATA_DIR) / "generators"),
        "score_cache": str(Path(settings.DATA_DIR) / "scores.sqlite3"),
        "prompt": release.prompt,
        "budget_seconds": float(seconds),
        "api_model": settings.GENERATOR_API_MODEL,
        "supervised_queries": supervised,
        "disagreement_queries": lm_disagreement.select_queries(run.cycle.project, answered),
    }


def _retriever_fields(run: Run, build: IndexBuild) -> dict[str, Any]:
    parent = run.parent_encoder
    assert parent is not None  # every retriever run has one
    query_path, passage_path = encoders.weight_folders(parent)
    has_vectors = build.encoder.passage_hash == parent.passage_hash
    return {
        "query_path": str(query_path),
        "passage_path": str(passage_path),
        "query_hash": parent.query_hash,
        "passage_hash": parent.passage_hash,
        "query_prefix": parent.query_prefix,
        "passage_prefix": parent.passage_prefix,
        "dim": parent.dim,
        "temperature": parent.temperature,
        "vectors": str(_vectors_path(build)) if has_vectors else None,
    }


def _reranker_fields(run: Run, build: IndexBuild) -> dict[str, Any]:
    parent = run.parent_encoder
    assert parent is not None  # every reranker run has one
    query_path, _passage_path = encoders.weight_folders(build.encoder)
    return {
        "base": settings.RERANKER or str(encoders.weight_folders(parent)[1]),
        "query_path": str(query_path),
        "query_prefix": build.encoder.query_prefix,
        "vectors": str(_vectors_path(build)),
    }


def _generator_fields(run: Run, release: Release) -> dict[str, Any]:
    parent = run.parent_generator
    assert parent is not None  # every generator run has one
    return {
        "base": parent.base_path,
        "cache_dir": str(Path(settings.DATA_DIR) / "generators"),
        "prompt": release.prompt,
        "refusal": release.refusal,
        # In parallel mode each prompt has one passage.
        "answer_passages": 1 if release.answer_mode == Release.AnswerMode.PARALLEL else release.answer_passages,
    }


def _build_with_vectors(run: Run, release: Release) -> IndexBuild:
    """Return the newest build with passage vectors of the parent encoder, otherwise the release's build."""
    if run.parent_encoder is None:
        return release.build
    builds = IndexBuild.objects.searchable().filter(
        corpus=run.cycle.project.corpus, encoder__passage_hash=run.parent_encoder.passage_hash
    )
    return builds.order_by("-number").first() or release.build


def _vectors_path(build: IndexBuild) -> Path:
    meta = artifacts.read_meta(Path(settings.DATA_DIR) / build.path)
    return vector_store.vectors_folder(str(meta["vectors"])) / "vectors.npy"


def _draft_passages(rows: list[JudgedQuery], release: Release) -> dict[str, list[str]]:
    """Return query_id → passages of the edited draft, for all queries but those of the test split."""
    edited = [row for row in rows if row.split != TEST and preference_pairs.is_edited(row)]
    passages: dict[str, list[str]] = {}
    for start in range(0, len(edited), _BATCH):
        passages |= instruction_data.draft_passages(edited[start : start + _BATCH], release)
    return passages


def _write_passages(build: IndexBuild, rows: list[JudgedQuery], drafted: dict[str, list[str]], target: Path) -> None:
    """Write the build's passages in the order of its vectors, then other passages that were judged or drafted from."""
    ids = search.open_build(build).ids.tolist()
    needed = {int(passage_id) for row in rows for passage_id in row.grades}
    needed |= {int(passage_id) for passage_ids in drafted.values() for passage_id in passage_ids}
    write_passages(target, _texts([*ids, *sorted(needed.difference(ids))]))


def _texts(ids: list[int]) -> Iterator[PassageText]:
    for start in range(0, len(ids), _BATCH):
        passages = Passage.objects.in_bulk(ids[start : start + _BATCH])
        for passage_id in ids[start : start + _BATCH]:
            yield PassageText(str(passage_id), passages[passage_id].full_text)


def _write_candidates(
    release: Release, rows: list[JudgedQuery], target: Path, depth: int, on_progress: Progress
) -> None:
    """Write the release's ranking of each query but those of the test split."""
    texts = {row.query_id: row.text for row in rows if row.split != TEST}
    rankings = offline_run.rank(release, texts, depth, on_progress)
    _write_lists(
        {
            query_id: {
                "passages": [str(hit.passage_id) for hit in hits],
                "scores": [round(hit.score, 6) for hit in hits],
            }
            for query_id, hits in rankings.items()
        },
        target,
    )


def _write_lists(lists: Mapping[str, Mapping[str, Any]], target: Path) -> None:
    with target.open("w", encoding="utf-8") as file:
        for query_id, fields in lists.items():
            file.write(json.dumps({"query_id": query_id} | dict(fields)) + "\n")
