"""Fine-tune a reranker with LambdaLoss: `python -m tuning.engine.reranker.train_reranker SPEC.json OUT/`.

A cross-encoder learns to order graded lists by sentence-transformers' LambdaLoss with its NDCG-Loss2++ weights (Wang
et al. 2018, doi:10.1145/3269206.3271784), one list at a time so that a long one does not decide the memory, weighted
by the reliability of its judges. On the dev queries "no reranker" is a candidate like the others: the result is never
worse there than the ranking that went in, and often it is no reranker. The same files, settings, seed and number of
threads give the same checkpoint hash, also where the process was killed on the way.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common import artifacts
from retrieval.engine import hardware
from retrieval.engine.encoders.bi_encoder import NoEncoder, local_folder
from retrieval.engine.encoders.cross_encoder import BATCH_SIZE, predict
from tuning.engine.data import examples
from tuning.engine.data.examples import DEV, TRAIN, JudgedQuery
from tuning.engine.process import checkpoints, training_state
from tuning.engine.process.training_loop import TrainingLoop, TrainingPlan
from tuning.engine.process.training_process import CHECKPOINT, MetricsLog, TrainingError, run_training
from tuning.engine.process.training_state import TrainingState
from tuning.engine.reranker import graded_lists
from tuning.engine.reranker.graded_lists import GradedList, GradedLists, RerankerDevSet
from tuning.engine.reranker.reranker_spec import RerankerSpec, read_spec
from tuning.engine.retriever.candidates import Vectors
from tuning.engine.retriever.trainable_encoder import TrainableEncoder

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

NONE, RERANKER = "no reranker", "reranker"

Batch = tuple[int, Sequence[GradedList]]  # its number, from 0, and its lists


@dataclass(frozen=True)
class LoadedTraining:
    """A training ready to begin."""

    graded: GradedLists
    dev: RerankerDevSet


def train(content: dict[str, Any], out: Path, log: MetricsLog) -> dict[str, Any]:
    """Carry out one training and return its result. Raises TrainingError, and BadRow for a file that cannot be read."""
    spec = read_spec(content)
    _set_up(spec)
    log.write(0, 0, seconds_left=spec.budget_seconds or 0.0, note="loading")
    try:
        training = load(spec)
        base = local_folder(spec.settings.base or spec.base)
    except NoEncoder as error:
        raise TrainingError(str(error)) from error
    model = _open(base, spec)
    ranking_value = training.dev.evaluate(None)
    log.write(0, 0, seconds_left=spec.budget_seconds or 0.0, candidate=NONE, dev=round(1 - ranking_value, 6))
    loop = _loop(model, training, ranking_value, spec, artifacts.folder_hash(base), out, log)
    loop.run()
    return _result(spec, out, training, ranking_value, model, loop)


def load(spec: RerankerSpec) -> LoadedTraining:
    """Return the training lists and the dev queries. Raises TrainingError where either is missing."""
    queries = [row for row in examples.read_queries(spec.queries) if row.split in (TRAIN, DEV)]
    passages = examples.read_passages(spec.passages)
    rankings = graded_lists.read_rankings(spec.candidates, {one.passage_id: row for row, one in enumerate(passages)})
    query_vectors, passage_vectors = _vectors(spec, queries, len(passages))
    settings = spec.settings
    graded = graded_lists.build_graded_lists(queries, passages, rankings, query_vectors, passage_vectors, settings)
    if len(graded.lists) < settings.min_queries:
        raise TrainingError(
            f"{len(graded.lists)} training queries put passages in an order; the reranker needs {settings.min_queries}."
        )
    dev = graded_lists.build_dev_set(queries, passages, rankings, settings, spec.seed)
    if not len(dev):
        raise TrainingError("No dev query has a relevant passage: whether a reranker is of use cannot be told.")
    return LoadedTraining(graded, dev)


def _vectors(spec: RerankerSpec, queries: Sequence[JudgedQuery], passages: int) -> tuple[Vectors, Vectors]:
    """Return the vectors of the queries (n, dim), and the stored ones of the first m of the passages (m, dim)."""
    try:
        stored = np.load(spec.vectors, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise TrainingError(f"The vectors {spec.vectors} cannot be read: {error}") from error
    texts = [spec.query_prefix + query.text for query in queries]
    query_vectors = TrainableEncoder(local_folder(spec.query_path)).encode(texts)
    has_other_dim = bool(len(query_vectors)) and query_vectors.shape[1] != stored.shape[-1]
    if stored.ndim != 2 or len(stored) > passages or has_other_dim:
        raise TrainingError(f"The vectors {spec.vectors} are not those of {passages} passages: {stored.shape}.")
    return query_vectors, stored


def add_gradients(model: CrossEncoder, loss: Any, batch: Batch, seed: int) -> float:
    """Add the gradient of a batch's mean loss to the weights; return that loss."""
    import torch

    number, lists = batch
    torch.manual_seed(seed + number)  # dropout depends on the step alone
    model.train()
    total = 0.0
    for graded_list in lists:
        passages = graded_list.passages
        order = sorted(range(len(passages)), key=lambda position: (len(passages[position]), position))
        texts = [passages[position] for position in order]
        labels = torch.tensor([graded_list.labels[position] for position in order])
        part = loss([[graded_list.query], [texts]], [labels]) * graded_list.weight / len(lists)
        part.backward()
        total += float(part.detach())
    model.eval()
    return total


def endless_batches(lists: Sequence[GradedList], size: int, seed: int) -> Iterator[Batch]:
    """Yield batches without end: each epoch is every list once, in batches of near-equal size, at most `size`."""
    rng, number = np.random.default_rng(seed), 0
    while True:
        for rows in np.array_split(rng.permutation(len(lists)), math.ceil(len(lists) / size)):
            yield number, [lists[row] for row in rows]
            number += 1


def _set_up(spec: RerankerSpec) -> None:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # metrics.jsonl shows progress
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the head is new, as it should be
    hardware.set_threads(spec.threads)
    torch.manual_seed(spec.seed)
    torch.use_deterministic_algorithms(True)


def _open(folder: Path, spec: RerankerSpec) -> CrossEncoder:
    """Return the base with a head for one score; that of an encoder is new, and decided by the seed."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(spec.seed)
    try:
        model: CrossEncoder = CrossEncoder(
            str(folder), num_labels=1, max_length=spec.settings.max_tokens, local_files_only=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrainingError(f"{folder} cannot become a reranker: {reason}") from error
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions and positions < model.max_seq_length:
        model.max_seq_length = positions
    return model.float()


def _has_head(model: CrossEncoder) -> bool:
    """Return whether the base could score a pair before this training."""
    kinds = getattr(model.config, "architectures", None) or [""]
    return bool(kinds[0].endswith(("ForSequenceClassification", "ForCausalLM")))


def _loop(
    model: CrossEncoder,
    training: LoadedTraining,
    ranking_value: float,
    spec: RerankerSpec,
    base_hash: str,
    out: Path,
    log: MetricsLog,
) -> TrainingLoop:
    """Return the training loop. ranking_value: the dev nDCG@10 of the rankings as they are."""
    settings, lists = spec.settings, training.graded.lists
    has_head = _has_head(model)

    def evaluate() -> tuple[float, dict[str, float]]:
        if not loop.step and not has_head:
            return round(1 - ranking_value, 6), {"share": 0.0}  # scores of a random head count for nothing
        return _evaluate(model, training.dev)

    plan = TrainingPlan(
        name=RERANKER,
        steps=settings.epochs * math.ceil(len(lists) / settings.batch_size),
        lr=settings.lr,
        batches=lambda: endless_batches(lists, settings.batch_size, spec.seed),
        gradients=_gradients(model, spec.seed),
        evaluate=evaluate,
        warmup=settings.warmup,
        evaluations=settings.evaluations,
        patience=settings.patience,
    )
    parts = [[base_hash, spec.seed, asdict(settings)], [asdict(one) for one in lists], training.dev.pairs]
    fingerprint = training_state.fingerprint(RERANKER, *parts)
    saved_state = TrainingState(out / f"{RERANKER}{training_state.SUFFIX}", fingerprint, spec.state_seconds)
    budget = math.inf if spec.budget_seconds is None else spec.budget_seconds - log.seconds
    loop = TrainingLoop(model, plan, log, saved_state, budget)
    return loop


def _gradients(model: CrossEncoder, seed: int) -> Callable[[Batch], float]:
    from sentence_transformers.cross_encoder.losses import LambdaLoss

    loss = LambdaLoss(model, mini_batch_size=BATCH_SIZE)
    return lambda batch: add_gradients(model, loss, batch, seed)


def _evaluate(model: CrossEncoder, dev: RerankerDevSet) -> tuple[float, dict[str, float]]:
    """Return 1 − nDCG@10 on dev at the share that suits these weights best, and that share."""
    scores = predict(model, dev.pairs)
    share = dev.best_share(scores)
    return round(1 - dev.evaluate(scores, share), 6), {"share": share}


def _result(
    spec: RerankerSpec,
    out: Path,
    training: LoadedTraining,
    ranking_value: float,
    model: CrossEncoder,
    loop: TrainingLoop,
) -> dict[str, Any]:
    """Save the weights and return result.json. Where no reranker is chosen: no checkpoint, and no path."""
    best = min(loop.evaluations, key=lambda point: point["loss"])
    value = 1 - best["loss"]
    chosen: dict[str, Any] = {"choice": NONE}
    if value > ranking_value + 1e-6:
        target = out / CHECKPOINT
        artifacts.remove_folder(target)  # without a result beside it, it is what a killed process left
        meta = {"seed": spec.seed, "settings": asdict(spec.settings)}
        digest = checkpoints.save_reranker(model, target, meta)
        chosen = {"choice": f"{RERANKER}, {loop.choice}", "reranker_path": str(target), "reranker_hash": digest}
    return chosen | {
        "depth": spec.settings.depth,
        "share": best["share"],
        "dev": {NONE: ranking_value, RERANKER: value},
        "curves": {"loss": loop.losses, "dev": [[point["step"], point["loss"]] for point in loop.evaluations]},
        "record": _record(spec, training, loop) | {"dev": {NONE: round(ranking_value, 4), RERANKER: round(value, 4)}},
    }


def _record(spec: RerankerSpec, training: LoadedTraining, loop: TrainingLoop) -> dict[str, Any]:
    graded = training.graded
    labels = [label for graded_list in graded.lists for label in graded_list.labels]
    unjudged = labels.count(graded_lists.UNJUDGED)
    return hardware.describe() | {
        "settings": asdict(spec.settings),
        "seed": spec.seed,
        "seconds": round(loop.seconds, 2),
        "steps": loop.step,
        "steps_planned": loop.plan.steps,
        "cut_short": loop.is_cut_short,
        "training_queries": len(graded.lists),
        "judged_passages": len(labels) - unjudged,
        "mined_passages": unjudged,
        "dev_queries": len(training.dev),
        "left_out": {
            "without_order": graded.without_order,
            "without_grades": graded.without_grades,
            "unknown_passages": graded.unknown_passages,
        },
    }


def main() -> int:
    return run_training(train, sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
