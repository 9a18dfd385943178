"""Tune a retriever: `python -m tuning.engine.retriever.train_retriever SPEC.json OUT/`.

Every road that fits the time is walked; the dev queries choose between the results and the base, which is
a candidate like the others, so what comes out is never worse on dev than what went in. The same files,
settings, seed and number of threads give the same checkpoint hash, also where the process was killed on the way:
every `bookmark_seconds` it leaves a bookmark in OUT/, and the next one goes on from there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common import artifacts
from retrieval.engine import hardware
from retrieval.engine.encoders import lead_pooling
from retrieval.engine.encoders.bi_encoder import NoEncoder, local_folder
from tuning.engine.data import examples
from tuning.engine.data.examples import DEV, TRAIN, BadRow, JudgedQuery, PassageText
from tuning.engine.process import checkpoints
from tuning.engine.process.checkpoints import Bookmark
from tuning.engine.process.progress import Progress
from tuning.engine.process.training_process import BOOKMARK, CHECKPOINT, CannotFit, Log, run
from tuning.engine.retriever import candidates, dev_evaluation, lead_tokens, strategies, whitening
from tuning.engine.retriever.batches import Material
from tuning.engine.retriever.candidates import Example, LmScores, Rows, Vectors
from tuning.engine.retriever.dev_evaluation import Dev
from tuning.engine.retriever.retriever_spec import ADAPTER, BEGINNING, BOTH, QUERY, RetrieverSpec, read_spec
from tuning.engine.retriever.trainable_encoder import Tower
from tuning.engine.retriever.whitening import Whitening

BASE = "base"
_PLANS = {ADAPTER: strategies.head, QUERY: strategies.query, BOTH: strategies.both}


@dataclass(frozen=True)
class Prepared:
    """A training ready to begin. `reads`: how the main road reads; `left_out`: what could not be used."""

    material: Material
    dev: Dev
    reads: str
    left_out: dict[str, int]


def fit(given: dict[str, Any], out: Path, log: Log) -> dict[str, Any]:
    """The result of one training. Raises CannotFit with the reason, BadRow for a file that cannot be read."""
    spec = read_spec(given)
    _set_up(spec)
    progress = Progress(log, spec.budget_seconds)
    try:
        prepared = prepare(spec)
        spec = replace(spec, settings=lead_tokens.settled(spec.settings, prepared.reads))
        choice, values, tower = _try_roads(spec, prepared, progress, out)
    except NoEncoder as error:
        raise CannotFit(str(error)) from error
    return _result(spec, out, prepared, progress, choice, values, tower)


def prepare(spec: RetrieverSpec) -> Prepared:
    """Rows, vectors and dev pool. Raises CannotFit when there is nothing to learn from."""
    queries = [row for row in examples.read_queries(spec.queries) if row.split in (TRAIN, DEV)]
    passages = examples.read_passages(spec.passages)
    passage_rows = {passage.passage_id: row for row, passage in enumerate(passages)}
    found = candidates.gather(queries, passage_rows, _scores(spec, queries), spec.settings.lm_temperature)
    teaching = [example for example in found.examples if queries[example.row].split == TRAIN]
    if len(teaching) < spec.settings.least_queries:
        raise CannotFit(
            f"{len(teaching)} training queries have grades for passages of the corpus; "
            f"the retriever needs {spec.settings.least_queries}."
        )
    if not any(example.is_right.any() or len(example.scored) for example in teaching):
        raise CannotFit("No training query has a passage graded above 0: there is nothing to draw nearer.")
    material = _material(spec, queries, passages, teaching)
    return Prepared(
        material,
        _dev(spec, queries, passage_rows, material),
        _reads(spec, material),
        {"without_grades": found.without_grades, "unknown_passages": found.unknown_passages},
    )


def _scores(spec: RetrieverSpec, queries: Sequence[JudgedQuery]) -> dict[str, LmScores]:
    """What the language model says of the queries it may teach."""
    known = candidates.read_lm_scores(spec.scores) if spec.scores else {}
    taught = {one.query_id for one in queries if spec.settings.lm_teaches(one.grades.values())}
    return {name: found for name, found in known.items() if name in taught}


def _set_up(spec: RetrieverSpec) -> None:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # what matters is in metrics.jsonl, and the last line of stderr is the reason
    hardware.set_threads(spec.threads)
    torch.manual_seed(spec.seed)
    torch.use_deterministic_algorithms(True)


def _material(
    spec: RetrieverSpec, queries: Sequence[JudgedQuery], passages: Sequence[PassageText], teaching: Sequence[Example]
) -> Material:
    """The base's view of everything; passages that no matrix covers are embedded here."""
    texts = [spec.passage_prefix + passage.text for passage in passages]
    asked = [spec.query_prefix + query.text for query in queries]
    known = _stored_vectors(spec, len(passages))
    if len(known) < len(texts):
        fresh = Tower(local_folder(spec.passage_path)).passage_vectors(texts[len(known) :])
        known = np.concatenate([known.reshape(-1, fresh.shape[1]), fresh])
    query_vectors = Tower(local_folder(spec.query_path)).vectors(asked)
    if query_vectors.shape[1] != known.shape[1]:
        raise CannotFit(f"The matrix has {known.shape[1]} dimensions, the query encoder {query_vectors.shape[1]}.")
    looked_at = _looked_at(spec, query_vectors, known, teaching)
    head = _head(spec, query_vectors[[one.row for one in teaching]], teaching, known, looked_at)
    return Material(asked, texts, query_vectors, known, teaching, looked_at, head)


def _reads(spec: RetrieverSpec, material: Material) -> str:
    """Asked only where the main road is tried."""
    if BOTH not in spec.settings.roads:
        return BEGINNING
    return lead_tokens.choose(material, spec.settings, Tower(local_folder(spec.passage_path)), spec.seed)


def _head(
    spec: RetrieverSpec, queries: Vectors, teaching: Sequence[Example], passages: Vectors, looked_at: Rows
) -> Whitening:
    """What stands behind the query side at first. Row i of the queries belongs to teaching[i]."""
    if not spec.settings.whitens:
        return whitening.none(passages.shape[1])
    return whitening.choose(queries, teaching, passages, looked_at)


def _looked_at(spec: RetrieverSpec, queries: Vectors, passages: Vectors, teaching: Sequence[Example]) -> Rows:
    """The whole corpus; of a large one what was judged or scored, what the base ranks first, and others by chance."""
    most = spec.settings.quick_passages
    if len(passages) <= most:
        return np.arange(len(passages), dtype=np.int64)
    depth = min(spec.settings.query_depth, len(passages))
    found = [np.concatenate([example.judged, example.scored]) for example in teaching]
    for example in teaching:
        found.append(np.argpartition(-(passages @ queries[example.row]), depth - 1)[:depth])
    named = np.unique(np.concatenate(found))
    others = np.setdiff1d(np.arange(len(passages), dtype=np.int64), named)
    chosen = np.random.default_rng(spec.seed).permutation(others)[: max(0, most - len(named))]
    return np.union1d(named, chosen)


def _stored_vectors(spec: RetrieverSpec, passages: int) -> Vectors:
    """(m, dim) vectors of the first m passages; a memory map, and empty without a file."""
    if spec.vectors is None:
        return np.zeros((0, 0), np.float32)
    try:
        vectors: Vectors = np.load(spec.vectors, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise CannotFit(f"The vectors {spec.vectors} cannot be read: {error}") from error
    if vectors.ndim != 2 or len(vectors) > passages:
        raise CannotFit(f"The vectors {spec.vectors} are not those of {passages} passages: {vectors.shape}.")
    return vectors


def _dev(
    spec: RetrieverSpec, queries: Sequence[JudgedQuery], passage_rows: Mapping[str, int], material: Material
) -> Dev:
    is_dev = [query.split == DEV for query in queries]
    served = _served(spec.candidates, passage_rows)
    rankings: dict[int, Rows] = {}
    for row in map(int, np.flatnonzero(is_dev)):
        scores = material.passage_vectors @ material.query_vectors[row]
        best = np.argsort(-scores, kind="stable")[: spec.settings.query_depth]
        # what both have found first comes first
        rankings[row] = _alternating(served.get(queries[row].query_id, best), best)
    settings = spec.settings
    most = min(settings.dev_passages, settings.dev_depth * min(settings.dev_queries, sum(is_dev)))
    return dev_evaluation.prepare(queries, is_dev, passage_rows, rankings, settings.dev_queries, most, spec.seed)


def _alternating(first: Rows, second: Rows) -> Rows:
    """Rank 1 of one, rank 1 of the other, rank 2 of one …"""
    both = [
        row
        for rank in range(max(len(first), len(second)))
        for row in (*first[rank : rank + 1], *second[rank : rank + 1])
    ]
    return np.array(list(dict.fromkeys(both)), dtype=np.int64)


def _served(path: Path | None, passage_rows: Mapping[str, int]) -> dict[str, Rows]:
    """query_id → rows of the passages that serve today, best first."""
    if path is None:
        return {}
    found = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                rows = [passage_rows[name] for name in row["passages"] if name in passage_rows]
            except (ValueError, TypeError, KeyError) as error:
                raise BadRow(path, number, str(error)) from error
            found[str(row["query_id"])] = np.array(rows, dtype=np.int64)
    return found


def _try_roads(
    spec: RetrieverSpec, prepared: Prepared, progress: Progress, out: Path
) -> tuple[str, dict[str, float | None], Tower | None]:
    """The candidate that is best on dev, the dev value of each, and its weights (None for the base).

    Without dev queries nothing can be compared: the last road stands, and the gate has the word.
    """
    material = prepared.material
    planned = [_PLANS[name](material, spec.settings, spec.seed) for name in spec.settings.roads]
    progress.steps = sum(road.steps for road in planned)
    values: dict[str, float | None] = {BASE: _base_value(prepared)}
    progress.write(BASE, **_shown(values[BASE]))
    choice, kept = BASE, None
    key = _key(spec, material)
    for road in planned:
        tower = _tower(spec, material, road.name)
        bookmark = Bookmark(out / f"{road.name}{BOOKMARK}", key, spec.bookmark_seconds)
        taken = strategies.walk(road, tower, material, spec.settings, progress, bookmark)
        if road.name == ADAPTER:  # it learned behind the whitening: from now on both are one matrix
            tower.put_head(tower.head.linear.weight.detach().cpu().numpy() @ material.head.matrix)
        progress.steps -= road.steps - taken
        values[road.name] = value = _value(prepared, tower, road.name)
        progress.write(road.name, **_shown(value), **({"note": "stopped by the budget"} if taken < road.steps else {}))
        best = values[choice]
        if value is None or best is None or value >= best:
            choice, kept = road.name, tower
    return choice, values, kept


def _key(spec: RetrieverSpec, material: Material) -> str:
    """Of everything that decides the weights: a bookmark of another training is not gone on from."""
    taught = [
        [one.row, one.judged.tolist(), one.grades.tolist(), one.scored.tolist(), one.lm_target.tolist(), one.weight]
        for one in material.examples
    ]
    learned = sorted({row for one in material.examples for row in (*one.judged.tolist(), *one.scored.tolist())})
    texts = [list(material.queries), [material.passages[row] for row in learned]]
    return checkpoints.key_of(_sides(spec), spec.seed, asdict(spec.settings), taught, texts)


def _tower(spec: RetrieverSpec, material: Material, road: str) -> Tower:
    """The weights a road begins with. Two sides that already differ meet again in the passage side's."""
    if road != BOTH:
        tower = Tower(local_folder(spec.query_path))
        tower.put_head(np.eye(len(material.head.matrix), dtype=np.float32) if road == ADAPTER else material.head.matrix)
        return tower
    tower = Tower(local_folder(spec.passage_path), spec.settings.both_max_tokens, spec.settings.both_beginnings)
    head = material.head
    if spec.passage_path != spec.query_path:  # whose queries lie elsewhere
        asked = tower.vectors([material.queries[example.row] for example in material.examples])
        head = _head(spec, asked, material.examples, material.passage_vectors, material.looked_at)
    if head.power:
        tower.put_head(head.matrix)
    return tower


def _base_value(prepared: Prepared) -> float | None:
    material, judge = prepared.material, prepared.dev
    if not len(judge):
        return None
    return judge.value(material.query_vectors[judge.rows], material.passage_vectors[judge.pool])


def _value(prepared: Prepared, tower: Tower, road: str) -> float | None:
    material, judge = prepared.material, prepared.dev
    if not len(judge):
        return None
    queries = tower.query_vectors([material.queries[row] for row in judge.rows])
    if road != BOTH:
        return judge.value(queries, material.passage_vectors[judge.pool])
    return judge.value(queries, tower.passage_vectors([material.passages[row] for row in judge.pool]))


def _shown(value: float | None) -> dict[str, Any]:
    return {"note": "no dev queries"} if value is None else {"dev": value}


def _result(
    spec: RetrieverSpec,
    out: Path,
    prepared: Prepared,
    progress: Progress,
    choice: str,
    values: dict[str, float | None],
    tower: Tower | None,
) -> dict[str, Any]:
    """result.json; the weights are saved first. The base chosen: its own paths, and no checkpoint."""
    sides = _sides(spec)
    if tower is not None:
        sides |= _save(spec, out / CHECKPOINT, choice, tower)
    return {
        **sides,
        "choice": choice,
        "temperature": spec.settings.temperature,
        "dev": values,
        "curves": progress.curves,
        "record": hardware.describe()
        | {
            "settings": asdict(spec.settings),
            "seed": spec.seed,
            "seconds": round(progress.seconds, 2),
            "training_queries": len(prepared.material.examples),
            "dev_queries": len(prepared.dev),
            "dev_passages": len(prepared.dev.pool),
            "looked_at": len(prepared.material.looked_at),
            "whitening": prepared.material.head.power,
            "reads": prepared.reads,
            "left_out": prepared.left_out,
        },
    }


def _save(spec: RetrieverSpec, target: Path, choice: str, tower: Tower) -> dict[str, str]:
    """Path and hash of each side that learned, a folder each; of one for the two where no head tells them apart."""
    parents = {name: digest for name, digest in _sides(spec).items() if name.endswith("_hash")}
    meta = {"choice": choice, "seed": spec.seed, "settings": asdict(spec.settings), "parents": parents}
    if choice == BOTH:
        meta[lead_pooling.KEY] = tower.begun
    artifacts.remove_folder(target)  # without a result beside it, it is what a killed process left
    folder = target / "query"
    with tower.query_side() as model:
        digest = checkpoints.save_encoder(model, folder, meta)
    learned = {"query_path": str(folder), "query_hash": digest}
    if choice == BOTH:
        if tower.head is not None:
            folder = target / "passage"
            digest = checkpoints.save_encoder(tower.model, folder, meta)
        learned |= {"passage_path": str(folder), "passage_hash": digest}
    return learned


def _sides(spec: RetrieverSpec) -> dict[str, str]:
    """The base's folders and their hashes, measured where they were not given."""
    return {
        "query_path": spec.query_path,
        "passage_path": spec.passage_path,
        "query_hash": spec.query_hash or artifacts.folder_hash(local_folder(spec.query_path)),
        "passage_hash": spec.passage_hash or artifacts.folder_hash(local_folder(spec.passage_path)),
    }


def main() -> int:
    return run(fit, sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
