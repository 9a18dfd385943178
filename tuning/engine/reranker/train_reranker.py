"""Tune a reranker: `python -m tuning.engine.reranker.train_reranker SPEC.json OUT/`.

A cross-encoder learns to order graded lists by sentence-transformers' LambdaLoss with its NDCG-Loss2++ weights (Wang
et al. 2018, doi:10.1145/3269206.3271784), one list at a time so that a long one does not decide the memory, weighted
by the reliability of its judges. On the dev queries "no reranker" is a candidate like the others: what comes out is
never worse there than the ranking that went in, and often there is nothing to come out. The same files, settings,
seed and number of threads give the same checkpoint hash, also where the process was killed on the way.
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
from retrieval.engine.encoders.cross_encoder import BATCH, predict
from tuning.engine.data import examples
from tuning.engine.data.examples import DEV, TRAIN
from tuning.engine.process import checkpoints
from tuning.engine.process.checkpoints import Bookmark, key_of
from tuning.engine.process.training_loop import Course, Lesson
from tuning.engine.process.training_process import CHECKPOINT, CannotFit, Log, run
from tuning.engine.reranker import graded_lists
from tuning.engine.reranker.graded_lists import GradedList, Judge, Taught
from tuning.engine.reranker.reranker_spec import RerankerSpec, read_spec
from tuning.engine.retriever.trainable_encoder import Tower

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

NONE, RERANKER = "no reranker", "reranker"

Batch = tuple[int, Sequence[GradedList]]  # its number, from 0, and its lists


@dataclass(frozen=True)
class Prepared:
    """A training ready to begin."""

    taught: Taught
    judge: Judge


def fit(given: dict[str, Any], out: Path, log: Log) -> dict[str, Any]:
    """The result of one training. Raises CannotFit with the reason, BadRow for a file that cannot be read."""
    spec = read_spec(given)
    _set_up(spec)
    log.write(0, 0, seconds_left=spec.budget_seconds or 0.0, note="loading")
    try:
        prepared = prepare(spec)
        base = local_folder(spec.settings.base or spec.base)
    except NoEncoder as error:
        raise CannotFit(str(error)) from error
    model = _open(base, spec)
    before = prepared.judge.value(None)
    log.write(0, 0, seconds_left=spec.budget_seconds or 0.0, candidate=NONE, dev=round(1 - before, 6))
    course = _course(model, prepared, before, spec, artifacts.folder_hash(base), out, log)
    course.run()
    return _result(spec, out, prepared, before, model, course)


def prepare(spec: RerankerSpec) -> Prepared:
    """The lists to learn from, and the dev queries. Raises CannotFit when there is nothing to learn from or by."""
    queries = [row for row in examples.read_queries(spec.queries) if row.split in (TRAIN, DEV)]
    passages = examples.read_passages(spec.passages)
    ranked = graded_lists.read_ranked(spec.candidates, {one.passage_id: row for row, one in enumerate(passages)})
    try:
        vectors = np.load(spec.vectors, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise CannotFit(f"The vectors {spec.vectors} cannot be read: {error}") from error
    asked = Tower(local_folder(spec.query_path)).vectors([spec.query_prefix + query.text for query in queries])
    if vectors.ndim != 2 or len(vectors) > len(passages) or (len(asked) and asked.shape[1] != vectors.shape[1]):
        raise CannotFit(f"The vectors {spec.vectors} are not those of {len(passages)} passages: {vectors.shape}.")
    taught = graded_lists.teach(queries, passages, ranked, asked, vectors, spec.settings)
    if len(taught.lists) < spec.settings.least_queries:
        raise CannotFit(
            f"{len(taught.lists)} training queries put passages in an order; "
            f"the reranker needs {spec.settings.least_queries}."
        )
    judge = graded_lists.judge(queries, passages, ranked, spec.settings, spec.seed)
    if not len(judge):
        raise CannotFit("No dev query has a relevant passage: whether a reranker is of use cannot be told.")
    return Prepared(taught, judge)


def gradients(model: CrossEncoder, loss: Any, batch: Batch, seed: int) -> float:
    """Add the gradient of a batch's mean loss to the weights; that loss."""
    import torch

    number, some = batch
    torch.manual_seed(seed + number)  # what is dropped out of a step is the step's own, also after a restart
    model.train()
    total = 0.0
    for one in some:
        order = sorted(range(len(one.passages)), key=lambda place: (len(one.passages[place]), place))
        texts, labels = [one.passages[place] for place in order], [one.labels[place] for place in order]
        part = loss([[one.query], [texts]], [torch.tensor(labels)]) * one.weight / len(some)
        part.backward()
        total += float(part.detach())
    model.eval()
    return total


def batches(taught: Sequence[GradedList], size: int, seed: int) -> Iterator[Batch]:
    """Shuffle after shuffle of the lists without end, cut into batches of near-equal size, at most `size`."""
    rng, number = np.random.default_rng(seed), 0
    while True:
        for rows in np.array_split(rng.permutation(len(taught)), math.ceil(len(taught) / size)):
            yield number, [taught[row] for row in rows]
            number += 1


def _set_up(spec: RerankerSpec) -> None:
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # what matters is in metrics.jsonl
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the head is new, as it should be
    hardware.set_threads(spec.threads)
    torch.manual_seed(spec.seed)
    torch.use_deterministic_algorithms(True)


def _open(folder: Path, spec: RerankerSpec) -> CrossEncoder:
    """The base with a head for one score; that of an encoder is new, and decided by the seed."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(spec.seed)
    try:
        model: CrossEncoder = CrossEncoder(
            str(folder), num_labels=1, max_length=spec.settings.max_tokens, local_files_only=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CannotFit(f"{folder} cannot become a reranker: {said}") from error
    places = getattr(model.config, "max_position_embeddings", None)
    if places and places < model.max_seq_length:
        model.max_seq_length = places
    return model.float()


def _has_head(model: CrossEncoder) -> bool:
    """Whether the base could judge a pair before it learned anything here."""
    kinds = getattr(model.config, "architectures", None) or [""]
    return bool(kinds[0].endswith(("ForSequenceClassification", "ForCausalLM")))


def _course(
    model: CrossEncoder, prepared: Prepared, before: float, spec: RerankerSpec, base: str, out: Path, log: Log
) -> Course:
    settings, taught = spec.settings, prepared.taught.lists
    is_able = _has_head(model)
    decides = [base, spec.seed, asdict(settings)]
    key = key_of(RERANKER, decides, [asdict(one) for one in taught], prepared.judge.pairs)
    bookmark = Bookmark(out / f"{RERANKER}.bookmark", key, spec.bookmark_seconds)

    def look() -> tuple[float, dict[str, float]]:
        if not course.done and not is_able:
            return round(1 - before, 6), {"share": 0.0}  # a head of random numbers has no say
        return _look(model, prepared.judge)

    lesson = Lesson(
        name=RERANKER,
        steps=settings.epochs * math.ceil(len(taught) / settings.batch),
        lr=settings.lr,
        batches=lambda: batches(taught, settings.batch, spec.seed),
        gradients=_teacher(model, spec.seed),
        look=look,
        warmup=settings.warmup,
        looks=settings.looks,
        patience=settings.patience,
    )
    budget = math.inf if spec.budget_seconds is None else spec.budget_seconds - log.seconds
    course = Course(model, lesson, log, bookmark, budget)
    return course


def _teacher(model: CrossEncoder, seed: int) -> Callable[[Batch], float]:
    from sentence_transformers.cross_encoder.losses import LambdaLoss

    loss = LambdaLoss(model, mini_batch_size=BATCH)
    return lambda batch: gradients(model, loss, batch, seed)


def _look(model: CrossEncoder, judge: Judge) -> tuple[float, dict[str, float]]:
    """1 − nDCG@10 on dev at the share that suits these weights best, and that share."""
    crossed = predict(model, judge.pairs)
    share = judge.share(crossed)
    return round(1 - judge.value(crossed, share), 6), {"share": share}


def _result(
    spec: RerankerSpec, out: Path, prepared: Prepared, before: float, model: CrossEncoder, course: Course
) -> dict[str, Any]:
    """result.json; the weights are saved first. No reranker chosen: no checkpoint, and no path."""
    best = min(course.looks, key=lambda look: look["loss"])
    is_better = 1 - best["loss"] > before + 1e-6
    found: dict[str, Any] = {"choice": NONE}
    if is_better:
        settings = asdict(spec.settings)
        target = out / CHECKPOINT
        artifacts.remove_folder(target)  # without a result beside it, it is what a killed process left
        digest = checkpoints.save_reranker(model, target, {"seed": spec.seed, "settings": settings})
        found = {"choice": f"{RERANKER}, {course.choice}", "reranker_path": str(target), "reranker_hash": digest}
    taught = prepared.taught
    return found | {
        "depth": spec.settings.depth,
        "share": best["share"],
        "dev": {NONE: before, RERANKER: 1 - best["loss"]},
        "curves": {"loss": course.losses, "dev": [[look["step"], look["loss"]] for look in course.looks]},
        "record": hardware.describe()
        | {
            "settings": asdict(spec.settings),
            "seed": spec.seed,
            "seconds": round(course.seconds, 2),
            "steps": course.done,
            "steps_planned": course.lesson.steps,
            "cut_short": course.was_cut,
            "training_queries": len(taught.lists),
            "judged_passages": sum(label != graded_lists.UNJUDGED for one in taught.lists for label in one.labels),
            "mined_passages": sum(label == graded_lists.UNJUDGED for one in taught.lists for label in one.labels),
            "dev_queries": len(prepared.judge),
            "dev": {NONE: round(before, 4), RERANKER: round(1 - best["loss"], 4)},
            "left_out": {
                "without_order": taught.without_order,
                "without_grades": taught.without_grades,
                "unknown_passages": taught.unknown_passages,
            },
        },
    }


def main() -> int:
    return run(fit, sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
