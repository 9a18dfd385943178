"""Fine-tune a retriever: `python -m tuning.engine.retriever.train_retriever SPEC.json OUT/`.

Every training strategy that fits the budget is tried; the dev queries choose between the results and the base. The
base is a candidate like the others, so the result is never worse on dev than the base. The same files, settings, seed
and number of threads give the same checkpoint hash, also where the process was killed on the way: every `state_seconds`
it saves its training state in OUT/, and the next process resumes from there.
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
from tuning.engine.process import checkpoints, training_state
from tuning.engine.process.progress import Progress
from tuning.engine.process.training_process import CHECKPOINT, MetricsLog, TrainingError, run_training
from tuning.engine.process.training_state import TrainingState
from tuning.engine.retriever import candidates, dev_evaluation, lead_tokens, strategies, whitening
from tuning.engine.retriever.batches import TrainingData
from tuning.engine.retriever.candidates import LmScores, Rows, TrainingExample, Vectors
from tuning.engine.retriever.dev_evaluation import DevSet
from tuning.engine.retriever.retriever_spec import (
    DUAL_ENCODER,
    LEAD,
    QUERY_ADAPTER,
    QUERY_ENCODER,
    RetrieverSpec,
    read_spec,
)
from tuning.engine.retriever.trainable_encoder import TrainableEncoder
from tuning.engine.retriever.whitening import Whitening

BASE = "base"
_STRATEGIES = {
    QUERY_ADAPTER: strategies.query_adapter,
    QUERY_ENCODER: strategies.query_encoder,
    DUAL_ENCODER: strategies.dual_encoder,
}


@dataclass(frozen=True)
class LoadedTraining:
    """A training ready to begin. passage_span: see `lead_tokens`; left_out: counts of what could not be used."""

    data: TrainingData
    dev: DevSet
    passage_span: str
    left_out: dict[str, int]


@dataclass(frozen=True)
class Choice:
    """The candidate that dev chose, the dev value of each, and the chosen weights (None for the base)."""

    name: str
    dev_values: dict[str, float | None]
    encoder: TrainableEncoder | None


def train(content: dict[str, Any], out: Path, log: MetricsLog) -> dict[str, Any]:
    """Carry out one training and return its result. Raises TrainingError, and BadRow for a file that cannot be read."""
    spec = read_spec(content)
    _set_up(spec)
    progress = Progress(log, spec.budget_seconds)
    try:
        training = load(spec)
        spec = replace(spec, settings=lead_tokens.settings_for(spec.settings, training.passage_span))
        choice = _try_strategies(spec, training, progress, out)
    except NoEncoder as error:
        raise TrainingError(str(error)) from error
    return _result(spec, out, training, progress, choice)


def load(spec: RetrieverSpec) -> LoadedTraining:
    """Return rows, vectors and dev set. Raises TrainingError when there is nothing to learn from."""
    queries = [row for row in examples.read_queries(spec.queries) if row.split in (TRAIN, DEV)]
    passages = examples.read_passages(spec.passages)
    passage_rows = {passage.passage_id: row for row, passage in enumerate(passages)}
    lm_scores = _lm_scores(spec, queries)
    all_examples = candidates.build_examples(queries, passage_rows, lm_scores, spec.settings.lm_temperature)
    training_examples = [example for example in all_examples.examples if queries[example.row].split == TRAIN]
    _check_examples(training_examples, spec.settings.min_queries)
    data = _training_data(spec, queries, passages, training_examples)
    return LoadedTraining(
        data,
        _dev_set(spec, queries, passage_rows, data),
        _passage_span(spec, data),
        {"without_grades": all_examples.without_grades, "unknown_passages": all_examples.unknown_passages},
    )


def _check_examples(training_examples: Sequence[TrainingExample], min_queries: int) -> None:
    if len(training_examples) < min_queries:
        raise TrainingError(
            f"{len(training_examples)} training queries have grades for passages of the corpus; "
            f"the retriever needs {min_queries}."
        )
    if not any(example.is_positive.any() or len(example.scored_rows) for example in training_examples):
        raise TrainingError("No training query has a passage graded above 0: there is nothing to draw nearer.")


def _lm_scores(spec: RetrieverSpec, queries: Sequence[JudgedQuery]) -> dict[str, LmScores]:
    """Return the language model's scores of the queries for which they count."""
    lm_scores = candidates.read_lm_scores(spec.scores) if spec.scores else {}
    supervised = {query.query_id for query in queries if spec.settings.is_lm_supervised(query.grades.values())}
    return {name: scores for name, scores in lm_scores.items() if name in supervised}


def _set_up(spec: RetrieverSpec) -> None:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # metrics.jsonl shows progress, and the last line of stderr is the reason
    hardware.set_threads(spec.threads)
    torch.manual_seed(spec.seed)
    torch.use_deterministic_algorithms(True)


def _training_data(
    spec: RetrieverSpec,
    queries: Sequence[JudgedQuery],
    passages: Sequence[PassageText],
    training_examples: Sequence[TrainingExample],
) -> TrainingData:
    """Return texts and the base's vectors; passages that the stored matrix lacks are embedded here."""
    passage_texts = [spec.passage_prefix + passage.text for passage in passages]
    query_texts = [spec.query_prefix + query.text for query in queries]
    vectors = _stored_vectors(spec, len(passages))
    if len(vectors) < len(passage_texts):
        new_vectors = TrainableEncoder(local_folder(spec.passage_path)).encode_passages(passage_texts[len(vectors) :])
        vectors = np.concatenate([vectors.reshape(-1, new_vectors.shape[1]), new_vectors])
    query_vectors = TrainableEncoder(local_folder(spec.query_path)).encode(query_texts)
    if query_vectors.shape[1] != vectors.shape[1]:
        raise TrainingError(
            f"The matrix has {vectors.shape[1]} dimensions, the query encoder {query_vectors.shape[1]}."
        )
    rows = _candidate_rows(spec, query_vectors, vectors, training_examples)
    head = _whitening(spec, query_vectors[[one.row for one in training_examples]], training_examples, vectors, rows)
    return TrainingData(query_texts, passage_texts, query_vectors, vectors, training_examples, rows, head)


def _passage_span(spec: RetrieverSpec, data: TrainingData) -> str:
    """Return what the dual encoder learns from; it is measured only where that strategy is tried."""
    if DUAL_ENCODER not in spec.settings.strategies:
        return LEAD
    return lead_tokens.choose_span(data, spec.settings, TrainableEncoder(local_folder(spec.passage_path)), spec.seed)


def _whitening(
    spec: RetrieverSpec,
    queries: Vectors,
    training_examples: Sequence[TrainingExample],
    passages: Vectors,
    candidate_rows: Rows,
) -> Whitening:
    """Return the matrix behind the query side at first. Row i of the queries belongs to example i."""
    if not spec.settings.use_whitening:
        return whitening.identity(passages.shape[1])
    return whitening.choose(queries, training_examples, passages, candidate_rows)


def _candidate_rows(
    spec: RetrieverSpec, queries: Vectors, passages: Vectors, training_examples: Sequence[TrainingExample]
) -> Rows:
    """Return all rows; of a large corpus the judged, the scored, those the base ranks first, and random others."""
    max_rows = spec.settings.max_candidates
    if len(passages) <= max_rows:
        return np.arange(len(passages), dtype=np.int64)
    depth = min(spec.settings.ranking_depth, len(passages))
    parts = [np.concatenate([example.judged_rows, example.scored_rows]) for example in training_examples]
    for example in training_examples:
        parts.append(np.argpartition(-(passages @ queries[example.row]), depth - 1)[:depth])
    first = np.unique(np.concatenate(parts))
    others = np.setdiff1d(np.arange(len(passages), dtype=np.int64), first)
    sample = np.random.default_rng(spec.seed).permutation(others)[: max(0, max_rows - len(first))]
    return np.union1d(first, sample)


def _stored_vectors(spec: RetrieverSpec, passages: int) -> Vectors:
    """Return (m, dim) vectors of the first m passages; a memory map, and empty without a file."""
    if spec.vectors is None:
        return np.zeros((0, 0), np.float32)
    try:
        vectors: Vectors = np.load(spec.vectors, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise TrainingError(f"The vectors {spec.vectors} cannot be read: {error}") from error
    if vectors.ndim != 2 or len(vectors) > passages:
        raise TrainingError(f"The vectors {spec.vectors} are not those of {passages} passages: {vectors.shape}.")
    return vectors


def _dev_set(
    spec: RetrieverSpec, queries: Sequence[JudgedQuery], passage_rows: Mapping[str, int], data: TrainingData
) -> DevSet:
    is_dev = [query.split == DEV for query in queries]
    live_rankings = _live_rankings(spec.candidates, passage_rows)
    rankings: dict[int, Rows] = {}
    for row in map(int, np.flatnonzero(is_dev)):
        scores = data.passage_vectors @ data.query_vectors[row]
        base_ranking = np.argsort(-scores, kind="stable")[: spec.settings.ranking_depth]
        # The first of both rankings come first.
        rankings[row] = _interleave(live_rankings.get(queries[row].query_id, base_ranking), base_ranking)
    settings = spec.settings
    queries_used = min(settings.max_dev_queries, sum(is_dev))
    max_passages = min(settings.max_dev_passages, settings.dev_passages_per_query * queries_used)
    return dev_evaluation.build_dev_set(
        queries, is_dev, passage_rows, rankings, settings.max_dev_queries, max_passages, spec.seed
    )


def _interleave(first: Rows, second: Rows) -> Rows:
    """Return rank 1 of one, rank 1 of the other, rank 2 of one …, each row once."""
    rows = [
        row
        for rank in range(max(len(first), len(second)))
        for row in (*first[rank : rank + 1], *second[rank : rank + 1])
    ]
    return np.array(list(dict.fromkeys(rows)), dtype=np.int64)


def _live_rankings(path: Path | None, passage_rows: Mapping[str, int]) -> dict[str, Rows]:
    """Return query_id → rows of the passages that the live release ranks first, best first. Raises BadRow."""
    if path is None:
        return {}
    rankings = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                rows = [passage_rows[name] for name in row["passages"] if name in passage_rows]
            except (ValueError, TypeError, KeyError) as error:
                raise BadRow(path, number, str(error)) from error
            rankings[str(row["query_id"])] = np.array(rows, dtype=np.int64)
    return rankings


def _try_strategies(spec: RetrieverSpec, training: LoadedTraining, progress: Progress, out: Path) -> Choice:
    """Train by each strategy and return the candidate that is best on dev; of equals the later.

    Without dev queries nothing can be compared: the last strategy is chosen, and the gate decides.
    """
    data = training.data
    planned = [_STRATEGIES[name](data, spec.settings, spec.seed) for name in spec.settings.strategies]
    progress.steps = sum(strategy.steps for strategy in planned)
    values: dict[str, float | None] = {BASE: _base_value(training)}
    progress.write(BASE, **_dev_line(values[BASE]))
    choice, chosen_encoder = BASE, None
    fingerprint = _fingerprint(spec, data)
    for strategy in planned:
        name = strategy.name
        encoder = _initial_encoder(spec, data, name)
        saved_state = TrainingState(out / f"{name}{training_state.SUFFIX}", fingerprint, spec.state_seconds)
        steps = strategies.train(strategy, encoder, data, spec.settings, progress, saved_state)
        if name == QUERY_ADAPTER:  # it learned behind the whitening: from now on both are one matrix
            encoder.set_head(encoder.head.linear.weight.detach().cpu().numpy() @ data.whitening.matrix)
        values[name] = value = _dev_value(training, encoder, name)
        note = {"note": "stopped by the budget"} if steps < strategy.steps else {}
        progress.write(name, **_dev_line(value), **note)
        best = values[choice]
        if value is None or best is None or value >= best:
            choice, chosen_encoder = name, encoder
    return Choice(choice, values, chosen_encoder)


def _fingerprint(spec: RetrieverSpec, data: TrainingData) -> str:
    """Return the fingerprint of everything that decides the weights: no other training's state is resumed."""
    rows = [
        [
            one.row,
            one.judged_rows.tolist(),
            one.grades.tolist(),
            one.scored_rows.tolist(),
            one.lm_target.tolist(),
            one.weight,
        ]
        for one in data.examples
    ]
    passages = sorted({row for one in data.examples for row in (*one.judged_rows.tolist(), *one.scored_rows.tolist())})
    texts = [list(data.queries), [data.passages[row] for row in passages]]
    return training_state.fingerprint(_base_sides(spec), spec.seed, asdict(spec.settings), rows, texts)


def _initial_encoder(spec: RetrieverSpec, data: TrainingData, strategy: str) -> TrainableEncoder:
    """Return the weights a strategy starts with. Two sides that already differ both start as the passage side."""
    if strategy != DUAL_ENCODER:
        encoder = TrainableEncoder(local_folder(spec.query_path))
        identity = np.eye(len(data.whitening.matrix), dtype=np.float32)
        encoder.set_head(identity if strategy == QUERY_ADAPTER else data.whitening.matrix)
        return encoder
    settings = spec.settings
    encoder = TrainableEncoder(local_folder(spec.passage_path), settings.dual_max_tokens, settings.dual_lead_tokens)
    head = data.whitening
    if spec.passage_path != spec.query_path:  # the passage side embeds the queries elsewhere
        queries = encoder.encode([data.queries[example.row] for example in data.examples])
        head = _whitening(spec, queries, data.examples, data.passage_vectors, data.candidate_rows)
    if head.power:
        encoder.set_head(head.matrix)
    return encoder


def _base_value(training: LoadedTraining) -> float | None:
    data, dev = training.data, training.dev
    if not len(dev):
        return None
    return dev.evaluate(data.query_vectors[dev.rows], data.passage_vectors[dev.pool])


def _dev_value(training: LoadedTraining, encoder: TrainableEncoder, strategy: str) -> float | None:
    data, dev = training.data, training.dev
    if not len(dev):
        return None
    queries = encoder.encode_queries([data.queries[row] for row in dev.rows])
    if strategy != DUAL_ENCODER:
        return dev.evaluate(queries, data.passage_vectors[dev.pool])
    return dev.evaluate(queries, encoder.encode_passages([data.passages[row] for row in dev.pool]))


def _dev_line(value: float | None) -> dict[str, Any]:
    return {"note": "no dev queries"} if value is None else {"dev": value}


def _result(
    spec: RetrieverSpec, out: Path, training: LoadedTraining, progress: Progress, choice: Choice
) -> dict[str, Any]:
    """Save the weights and return result.json. Where the base is chosen: its own paths, and no checkpoint."""
    sides = _base_sides(spec)
    if choice.encoder is not None:
        sides |= _save(spec, out / CHECKPOINT, choice.name, choice.encoder)
    return {
        **sides,
        "choice": choice.name,
        "temperature": spec.settings.temperature,
        "dev": choice.dev_values,
        "curves": progress.curves,
        "record": _record(spec, training, progress.log.seconds),
    }


def _record(spec: RetrieverSpec, training: LoadedTraining, seconds: float) -> dict[str, Any]:
    return hardware.describe() | {
        "settings": asdict(spec.settings),
        "seed": spec.seed,
        "seconds": round(seconds, 2),
        "training_queries": len(training.data.examples),
        "dev_queries": len(training.dev),
        "dev_passages": len(training.dev.pool),
        "candidate_passages": len(training.data.candidate_rows),
        "whitening": training.data.whitening.power,
        "passage_span": training.passage_span,
        "left_out": training.left_out,
    }


def _save(spec: RetrieverSpec, target: Path, choice: str, encoder: TrainableEncoder) -> dict[str, str]:
    """Return path and hash of each side that learned, a folder each; one for both where no head sets them apart."""
    parents = {name: digest for name, digest in _base_sides(spec).items() if name.endswith("_hash")}
    meta = {"choice": choice, "seed": spec.seed, "settings": asdict(spec.settings), "parents": parents}
    if choice == DUAL_ENCODER:
        meta[lead_pooling.META_KEY] = encoder.lead_tokens
    artifacts.remove_folder(target)  # without a result beside it, it is what a killed process left
    folder = target / "query"
    with encoder.query_model() as model:
        digest = checkpoints.save_encoder(model, folder, meta)
    sides = {"query_path": str(folder), "query_hash": digest}
    if choice == DUAL_ENCODER:
        if encoder.head is not None:
            folder = target / "passage"
            digest = checkpoints.save_encoder(encoder.model, folder, meta)
        sides |= {"passage_path": str(folder), "passage_hash": digest}
    return sides


def _base_sides(spec: RetrieverSpec) -> dict[str, str]:
    """Return the base's folders and their hashes, measured where they were not given."""
    return {
        "query_path": spec.query_path,
        "passage_path": spec.passage_path,
        "query_hash": spec.query_hash or artifacts.folder_hash(local_folder(spec.query_path)),
        "passage_hash": spec.passage_hash or artifacts.folder_hash(local_folder(spec.passage_path)),
    }


def main() -> int:
    return run_training(train, sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
