"""What a training process is given: rows of the database become files it can read without one.

spec.json        paths, seed, settings; see `specification`
passages.jsonl   every passage that can be retrieved, in the order of the vectors, then judged ones beside it
candidates.jsonl {"query_id", "passages": [ids, best first], "scores"} of the training and dev queries
drafted.jsonl    the same of those whose draft people edited: what it was written from; for a generator alone
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
from curation.models import Release
from curation.releases import lifecycle, retrieve
from retrieval.index import index_builds
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


def specification(run: Run, out: Path, on_progress: Progress, tried: Release | None = None) -> dict[str, Any]:
    """The run's spec.json, after its other files were written to `out`.

    What the cycle overrides stands in its settings: `budget_seconds`, and under the name of a component whatever
    that part's training knows. tried: the release a reranker is for; the others learn from the serving one.
    """
    release = tried or lifecycle.serving(run.cycle.project)
    rows = collect.rows(run.dataset)
    build = release.build if run.component == Component.RERANKER else _build(run, release)
    drafted = _drafted(rows, release) if run.component == Component.GENERATOR else {}
    _write_passages(build, rows, drafted, out / PASSAGES)
    # Only who writes answers looks at them as they are shown: to all others the last stage is time lost.
    ranking = release if run.component == Component.GENERATOR else retrieve.plain(release)
    overrides = run.cycle.settings
    own = {name: value for name, value in overrides.get(run.component, {}).items() if name != "enabled"}
    depth = max(CANDIDATE_DEPTH, own.get("depth", 0))
    _write_candidates(ranking, rows, out / CANDIDATES, depth, on_progress)
    shared = {
        "seed": run.seed,
        "threads": settings.COMPUTE_THREADS,
        "budget_seconds": float(overrides.get("budget_seconds", BUDGET_SECONDS)),
        "queries": str(collect.folder(run.dataset) / collect.ROWS),
        "passages": str(out / PASSAGES),
        "candidates": str(out / CANDIDATES),
        "settings": own,
    }
    if run.component == Component.RERANKER:
        return shared | _of_reranker(run, build)
    if run.component == Component.RETRIEVER:
        return shared | _of_retriever(run, build)
    _write_lists({query_id: {"passages": ids} for query_id, ids in drafted.items()}, out / DRAFTED)
    return shared | _of_generator(run, release) | {"drafted": str(out / DRAFTED)}


def scoring(run: Run, specification: dict[str, Any]) -> dict[str, Any]:
    """What the scoring before a retriever's training is given: that training's files, and the serving generator.

    Scored are the queries the language model teaches, and a few of the others for the queue: each costs seconds.
    Raises CannotFit for settings that no training knows.
    """
    release = lifecycle.serving(run.cycle.project)
    generator = release.generator
    chosen = read_spec(specification).settings
    rows = [row for row in collect.rows(run.dataset) if row.split != TEST and row.is_answered]
    teach = [row.query_id for row in rows if chosen.lm_teaches(row.grades.values())]
    # In another order each cycle: those whose scores say nothing would else stand before the others for ever.
    answered = random.Random(run.cycle_id).sample([row.query_id for row in rows], len(rows))
    shared = {name: specification[name] for name in ("seed", "threads", "queries", "passages", "candidates")}
    seconds = run.cycle.settings.get("score_seconds") or min(SCORE_SECONDS, specification["budget_seconds"] / 3)
    return shared | {
        "base": generator.base_path,
        "adapter": str(Path(settings.DATA_DIR) / generator.adapter_path) if generator.adapter_path else "",
        "cache_dir": str(Path(settings.DATA_DIR) / "generators"),
        "score_cache": str(Path(settings.DATA_DIR) / "scores.sqlite3"),
        "prompt": release.prompt,
        "budget_seconds": float(seconds),
        "api_model": settings.GENERATOR_API_MODEL,
        "teach": teach,
        "beside": lm_disagreement.worth_scoring(run.cycle.project, answered),
    }


def _of_retriever(run: Run, build: IndexBuild) -> dict[str, Any]:
    parent = run.parent_encoder
    assert parent is not None  # `training.prepare` gives every retriever run one
    query_path, passage_path = index_builds.weights(parent)
    same_side = build.encoder.passage_hash == parent.passage_hash
    return {
        "query_path": str(query_path),
        "passage_path": str(passage_path),
        "query_hash": parent.query_hash,
        "passage_hash": parent.passage_hash,
        "query_prefix": parent.query_prefix,
        "passage_prefix": parent.passage_prefix,
        "dim": parent.dim,
        "temperature": parent.temperature,
        "vectors": str(_vectors(build)) if same_side else None,
    }


def _of_reranker(run: Run, build: IndexBuild) -> dict[str, Any]:
    parent = run.parent_encoder
    assert parent is not None  # `training.prepare_reranker` gives it one
    query_path, _passage_path = index_builds.weights(build.encoder)
    return {
        "base": settings.RERANKER or str(index_builds.weights(parent)[1]),
        "query_path": str(query_path),
        "query_prefix": build.encoder.query_prefix,
        "vectors": str(_vectors(build)),
    }


def _of_generator(run: Run, release: Release) -> dict[str, Any]:
    parent = run.parent_generator
    assert parent is not None  # `training.prepare` gives every generator run one
    return {
        "base": parent.base_path,
        "cache_dir": str(Path(settings.DATA_DIR) / "generators"),
        "prompt": release.prompt,
        "refusal": release.refusal,
        # In parallel each prompt holds one passage.
        "answer_passages": 1 if release.answer_mode == Release.AnswerMode.PARALLEL else release.answer_passages,
    }


def _build(run: Run, release: Release) -> IndexBuild:
    """A build that has the parent's passage vectors, the newest of them; else the one that serves."""
    if run.parent_encoder is None:
        return release.build
    alike = IndexBuild.objects.searchable().filter(
        corpus=run.cycle.project.corpus, encoder__passage_hash=run.parent_encoder.passage_hash
    )
    return alike.order_by("-number").first() or release.build


def _vectors(build: IndexBuild) -> Path:
    meta = artifacts.read_meta(Path(settings.DATA_DIR) / build.path)
    return index_builds.vectors_folder(str(meta["vectors"])) / "vectors.npy"


def _drafted(rows: list[JudgedQuery], release: Release) -> dict[str, list[str]]:
    """query_id → what the drafts that were edited were written from; test queries stay out."""
    edited = [row for row in rows if row.split != TEST and preference_pairs.is_edited(row)]
    found: dict[str, list[str]] = {}
    for start in range(0, len(edited), _BATCH):
        found |= instruction_data.drafted_from(edited[start : start + _BATCH], release)
    return found


def _write_passages(build: IndexBuild, rows: list[JudgedQuery], drafted: dict[str, list[str]], target: Path) -> None:
    """The build's passages in the order of its vectors, then those beside it that were judged or drafted from."""
    ids = search.open_build(build).ids.tolist()
    used = {int(passage_id) for row in rows for passage_id in row.grades}
    used |= {int(passage_id) for passages in drafted.values() for passage_id in passages}
    write_passages(target, _texts([*ids, *sorted(used.difference(ids))]))


def _texts(ids: list[int]) -> Iterator[PassageText]:
    for start in range(0, len(ids), _BATCH):
        some = Passage.objects.in_bulk(ids[start : start + _BATCH])
        for passage_id in ids[start : start + _BATCH]:
            yield PassageText(str(passage_id), some[passage_id].full_text)


def _write_candidates(
    release: Release, rows: list[JudgedQuery], target: Path, depth: int, on_progress: Progress
) -> None:
    """What the release finds for each query that may be learned from; test queries stay out."""
    texts = {row.query_id: row.text for row in rows if row.split != TEST}
    found = offline_run.rank(release, texts, depth, on_progress)
    _write_lists(
        {
            query_id: {
                "passages": [str(hit.passage_id) for hit in hits],
                "scores": [round(hit.score, 6) for hit in hits],
            }
            for query_id, hits in found.items()
        },
        target,
    )


def _write_lists(lists: Mapping[str, Mapping[str, Any]], target: Path) -> None:
    with target.open("w", encoding="utf-8") as file:
        for query_id, found in lists.items():
            file.write(json.dumps({"query_id": query_id} | dict(found)) + "\n")
