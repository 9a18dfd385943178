"""What a training process is given: rows of the database become files it can read without one.

spec.json        paths, seed, settings; see `specification`
passages.jsonl   every passage that can be retrieved, in the order of the vectors, then judged ones beside it
candidates.jsonl {"query_id", "passages": [ids, best first]} of the training and dev queries
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from curation import serving
from curation.models import Release
from retrieval import indexing, searching
from retrieval.engine import artifacts
from retrieval.models import IndexBuild, Passage
from tuning import collecting, trying
from tuning.engine.examples import TEST, JudgedQuery, PassageText, write_passages
from tuning.models import Part, Run

PASSAGES, CANDIDATES = "passages.jsonl", "candidates.jsonl"
BUDGET_SECONDS = 1800.0
SCORE_SECONDS = 480.0
CANDIDATE_DEPTH = 30
_BATCH = 2000

Progress = Callable[[int, int, str], None]


def specification(run: Run, out: Path, on_progress: Progress) -> dict[str, Any]:
    """The run's spec.json, after its other files were written to `out`.

    What the turn overrides stands in its settings: `budget_seconds`, and under the name of a half whatever
    that half's training knows.
    """
    release = serving.serving(run.turn.project)
    rows = collecting.rows(run.dataset)
    build = _build(run, release)
    _write_passages(build, rows, out / PASSAGES)
    _write_candidates(release, rows, out / CANDIDATES, on_progress)
    overrides = run.turn.settings
    shared = {
        "seed": run.seed,
        "threads": settings.COMPUTE_THREADS,
        "budget_seconds": float(overrides.get("budget_seconds", BUDGET_SECONDS)),
        "queries": str(collecting.folder(run.dataset) / collecting.ROWS),
        "passages": str(out / PASSAGES),
        "candidates": str(out / CANDIDATES),
        "settings": overrides.get(run.part, {}),
    }
    return shared | (_of_retriever(run, build) if run.part == Part.RETRIEVER else _of_generator(run, release))


def scoring(run: Run, specification: dict[str, Any]) -> dict[str, Any]:
    """What the scoring before a retriever's training is given: that training's files, and the serving generator."""
    release = serving.serving(run.turn.project)
    generator = release.generator
    shared = {name: specification[name] for name in ("seed", "threads", "queries", "passages", "candidates")}
    seconds = run.turn.settings.get("score_seconds") or min(SCORE_SECONDS, specification["budget_seconds"] / 3)
    return shared | {
        "base": generator.base_path,
        "adapter": str(Path(settings.DATA_DIR) / generator.adapter_path) if generator.adapter_path else "",
        "cache_dir": str(Path(settings.DATA_DIR) / "generators"),
        "score_cache": str(Path(settings.DATA_DIR) / "scores.sqlite3"),
        "prompt": release.prompt,
        "budget_seconds": float(seconds),
        "api_model": settings.GENERATOR_API_MODEL,
    }


def _of_retriever(run: Run, build: IndexBuild) -> dict[str, Any]:
    parent = run.parent_encoder
    assert parent is not None  # `training.prepare` gives every retriever run one
    query_path, passage_path = indexing.weights(parent)
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


def _of_generator(run: Run, release: Release) -> dict[str, Any]:
    parent = run.parent_generator
    assert parent is not None  # `training.prepare` gives every generator run one
    return {
        "base": parent.base_path,
        "cache_dir": str(Path(settings.DATA_DIR) / "generators"),
        "prompt": release.prompt,
        "refusal": release.refusal,
        "answer_passages": release.answer_passages,
    }


def _build(run: Run, release: Release) -> IndexBuild:
    """A build that has the parent's passage vectors, the newest of them; else the one that serves."""
    if run.parent_encoder is None:
        return release.build
    alike = IndexBuild.objects.searchable().filter(
        corpus=run.turn.project.corpus, encoder__passage_hash=run.parent_encoder.passage_hash
    )
    return alike.order_by("-number").first() or release.build


def _vectors(build: IndexBuild) -> Path:
    meta = artifacts.read_meta(Path(settings.DATA_DIR) / build.path)
    return indexing.vectors_folder(str(meta["vectors"])) / "vectors.npy"


def _write_passages(build: IndexBuild, rows: list[JudgedQuery], target: Path) -> None:
    """The build's passages in the order of its vectors, then judged ones that are newer than it."""
    ids = searching.open_build(build).ids.tolist()
    judged = {int(passage_id) for row in rows for passage_id in row.grades}
    write_passages(target, _texts([*ids, *sorted(judged.difference(ids))]))


def _texts(ids: list[int]) -> Iterator[PassageText]:
    for start in range(0, len(ids), _BATCH):
        some = Passage.objects.in_bulk(ids[start : start + _BATCH])
        for passage_id in ids[start : start + _BATCH]:
            yield PassageText(str(passage_id), some[passage_id].full_text)


def _write_candidates(release: Release, rows: list[JudgedQuery], target: Path, on_progress: Progress) -> None:
    """What the serving release finds for each query that may be learned from; test queries stay out."""
    texts = {row.query_id: row.text for row in rows if row.split != TEST}
    found = trying.rank(release, texts, CANDIDATE_DEPTH, on_progress)
    with target.open("w", encoding="utf-8") as file:
        for query_id, hits in found.items():
            passages = [str(hit.passage_id) for hit in hits]
            file.write(json.dumps({"query_id": query_id, "passages": passages}) + "\n")
