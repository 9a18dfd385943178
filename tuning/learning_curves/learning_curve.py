"""Learning curves: train on nested parts of one dataset, measure each, and say what more judgements would bring.

The trainings are those of a run, started on the same queue with a small budget each. A retriever is measured over
a pool, the judged passages of the test queries and what is ranked high for them today: embedding a whole corpus for
every point would cost more than the trainings. The figures are comparable with one another only.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from common import artifacts
from common.heartbeat import Heartbeat, run_job
from common.messages import StrOrMessage, message
from curation.core.errors import CurationError
from curation.models import Generator, Project, Release
from curation.queries import query_vectors
from curation.releases import lifecycle
from retrieval.engine.encoders.bi_encoder import TextEncoder
from retrieval.index import index_builds
from retrieval.models import Passage
from tuning.cycles import training_cycle
from tuning.datasets import collect
from tuning.engine.data.examples import TEST, TRAIN, JudgedQuery, write_queries
from tuning.engine.metrics import extrapolation, ranking_metrics
from tuning.engine.metrics.significance import bootstrap_interval
from tuning.evaluation import offline_run
from tuning.models import Component, Cycle, LearningCurve, Run
from tuning.training import specification, training_runs
from tuning.training.process import RESULT, SPEC, Follower

BUDGET_SECONDS = 300.0  # of each training
ANSWER_SECONDS = 60.0
POOL = 1500  # passages
DEPTH = 30
MEASURES = {Component.RETRIEVER.value: "ndcg@10", Component.GENERATOR.value: "f1"}

Progress = Callable[[int, int, StrOrMessage], None]
Values = dict[str, float]  # query_id → value


class AlreadyLearning(CurationError):
    """The project has an unfinished learning curve."""


class CannotLearn(CurationError):
    """A learning curve cannot be selection, with the reason."""


REASONS: tuple[type[Exception], ...] = (*training_cycle.REASONS, CannotLearn)


def start(
    project: Project,
    component: str = Component.RETRIEVER,
    *,
    sizes: list[int] | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
) -> LearningCurve:
    """A queued curve over what will be settled when it is drawn; sizes: 50, 100, 200 … without any given.

    Raises AlreadyLearning.
    """
    try:
        with transaction.atomic():
            return LearningCurve.objects.create(
                project=project,
                component=component,
                measure=MEASURES[component],
                sizes=sorted(set(sizes or [])),
                seed=seed,
                settings=settings or {},
            )
    except IntegrityError as error:
        told = _("%(project)s already has an unfinished learning curve") % {"project": project}
        raise AlreadyLearning(told) from error


def draw(curve: LearningCurve, worker: str, on_progress: Progress | None = None) -> bool:
    """Measure every point that is left; true when it was this worker's to do, whatever came of it.

    A curve taken up again after its worker was lost goes on after the last point that was written down.
    """
    if not curve.claim(worker):
        return False
    with run_job(curve, REASONS) as heartbeat:
        out = Path(django_settings.DATA_DIR) / "learning" / f"{curve.pk}-{curve.attempts}"
        artifacts.remove_folder(out)
        out.mkdir(parents=True)
        try:
            _draw(curve, heartbeat, out, on_progress or (lambda done, total, note: None))
        finally:
            artifacts.remove_folder(out)
        curve.finish()
    return True


def gains(curve: LearningCurve) -> list[tuple[float, float, float]]:
    """For each point but the first: gain per hundred further queries since the one before, low, high."""
    return extrapolation.gains_per_hundred(
        [point["queries"] for point in curve.points], _matrix(curve.points), curve.seed
    )


def outlook(curve: LearningCurve, more: int = 100) -> extrapolation.Growth | None:
    """What the next `more` queries would likely bring; None with too few points to say."""
    trained = [point for point in curve.points if point["queries"]]
    return extrapolation.fit([point["queries"] for point in trained], _matrix(trained), more, curve.seed)


def _matrix(points: list[dict[str, Any]]) -> extrapolation.Floats:
    """(points, test queries), the queries in one order."""
    ids = sorted(points[0]["per_query"]) if points else []
    return np.array([[point["per_query"][query_id] for query_id in ids] for point in points], dtype=np.float64)


def _draw(curve: LearningCurve, heartbeat: Heartbeat, out: Path, on_progress: Progress) -> None:

    def told(done: int, total: int, note: StrOrMessage = "") -> None:
        heartbeat.check()
        on_progress(done, total, note)

    _prepare(curve, told)
    assert curve.dataset is not None  # `_prepare` made it
    rows, sizes = collect.rows(curve.dataset), [0, *curve.sizes]
    run = _run(curve)
    spec = specification.specification(run, out, told)
    judge = _ranks(run, rows, told) if curve.component == Component.RETRIEVER else _answers(curve, rows, told)
    for place, size in enumerate(sizes):
        if place < len(curve.points):
            continue
        curve.record_heartbeat(place, len(sizes), message("n_queries", n=size))
        began = time.monotonic()
        kept = extrapolation.nested([row for row in rows if row.split == TRAIN], size, curve.seed)
        result = _trained(run, spec, rows, kept, out / str(size), heartbeat, told) if size else None
        seconds = time.monotonic() - began
        _note(curve, kept, judge(result), seconds)
        told(place + 1, len(sizes), message("n_queries", n=size))


def _prepare(curve: LearningCurve, on_progress: Progress) -> None:
    """The curve with its dataset and its sizes; as it is when it has them. Raises CannotLearn, TooLittle."""
    if curve.dataset is not None:
        return
    dataset = collect.collect(curve.project, curve.seed, on_progress)
    release = lifecycle.serving(curve.project)
    why = training_runs.why_not(Cycle(project=curve.project, dataset=dataset), Component(curve.component), release)
    if why:
        raise CannotLearn(why)
    total = dataset.counts[TRAIN]["queries"]
    sizes = [size for size in curve.sizes or extrapolation.sizes(total) if extrapolation.LEAST <= size <= total]
    if not sizes:
        raise CannotLearn(message("too_few_for_a_point", n=total, least=extrapolation.LEAST))
    curve.dataset, curve.sizes = dataset, sizes
    curve.save(update_fields=["dataset", "sizes"])


def _note(curve: LearningCurve, kept: list[JudgedQuery], found: Values, seconds: float) -> None:
    if not found:
        raise CannotLearn(message("nothing_measured"))
    values = np.array(list(found.values()))
    low, high = bootstrap_interval(values, resamples=extrapolation.RESAMPLES, seed=curve.seed)
    point = {
        "queries": len(kept),
        "grades": sum(len(row.grades) for row in kept),
        "value": float(values.mean()),
        "low": low,
        "high": high,
        "seconds": round(seconds, 1),
        "per_query": {query_id: round(value, 6) for query_id, value in found.items()},
    }
    curve.points = [*curve.points, point]
    curve.save(update_fields=["points"])


def _run(curve: LearningCurve) -> Run:
    """What a run of the project would be, without a row: a curve leaves none behind."""
    release = lifecycle.serving(curve.project)
    budget = {"budget_seconds": curve.settings.get("budget_seconds", BUDGET_SECONDS)}
    cycle = Cycle(project=curve.project, dataset=curve.dataset, seed=curve.seed, settings=curve.settings | budget)
    is_retriever = curve.component == Component.RETRIEVER
    return Run(
        cycle=cycle,
        dataset=curve.dataset,
        component=curve.component,
        seed=curve.seed,
        parent_encoder=query_vectors.first_encoder(curve.project) if is_retriever else None,
        parent_generator=None if is_retriever else _first(release.generator),
    )


def _first(generator: Generator) -> Generator:
    while generator.parent is not None:
        generator = generator.parent
    return generator


def _trained(
    run: Run,
    spec: dict[str, Any],
    rows: list[JudgedQuery],
    kept: list[JudgedQuery],
    out: Path,
    heartbeat: Heartbeat,
    on_progress: Progress,
) -> dict[str, Any]:
    """The result of one training on the `kept` training queries and all of dev. Raises CannotTrain."""
    out.mkdir(parents=True)
    write_queries(out / "rows.jsonl", [*kept, *(row for row in rows if row.split not in (TRAIN, TEST))])
    (out / SPEC).write_text(json.dumps(spec | {"queries": str(out / "rows.jsonl")}), encoding="utf-8")
    note = message("training_on", n=len(kept))
    with Follower(django_settings.TRAINERS[run.component], out, django_settings.COMPUTE_THREADS) as follower:
        for lines in follower.lines():
            heartbeat.check()
            if lines:
                on_progress(int(lines[-1].get("step", 0)), int(lines[-1].get("steps", 0)), note)
        if follower.process.returncode != 0 or not (out / RESULT).exists():
            raise training_runs.CannotTrain(follower.reason())
    result: dict[str, Any] = json.loads((out / RESULT).read_text(encoding="utf-8"))
    return result


def _ranks(run: Run, rows: list[JudgedQuery], on_progress: Progress) -> Callable[[dict[str, Any] | None], Values]:
    """A function from a training's result (None: the untuned encoder) to nDCG@10 of each test query over the pool."""
    parent = run.parent_encoder
    assert parent is not None  # `_run` gives a retriever's one
    test = [row for row in rows if row.split == TEST and row.grades]
    grades = {row.query_id: row.grades for row in test}
    pool = _pool(lifecycle.serving(run.cycle.project), test, on_progress)
    passages = Passage.objects.in_bulk([int(passage_id) for passage_id in pool])
    texts = [passages[int(passage_id)].full_text for passage_id in pool]

    def measure(result: dict[str, Any] | None) -> Values:
        query_path, passage_path = map(str, index_builds.weights(parent))
        if result:
            query_path, passage_path = result["query_path"], result["passage_path"]
        encoder = TextEncoder(query_path, passage_path, parent.query_prefix, parent.passage_prefix)
        vectors = encoder.encode_passages(texts, lambda done, total: on_progress(done, total, message("measuring")))
        scores = encoder.encode_queries([row.text for row in test]) @ vectors.T  # (test queries, pool)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        rankings = {row.query_id: [pool[place] for place in best] for row, best in zip(test, order, strict=True)}
        found = ranking_metrics.evaluate(rankings, grades, recall_at=(), mrr_at=(), judged_at=())
        return found.values(MEASURES[Component.RETRIEVER])

    return measure


def _pool(release: Release, test: list[JudgedQuery], on_progress: Progress) -> list[str]:
    """Passage ids: all that were judged for the test queries, then what the release ranks first for them."""
    pool = dict.fromkeys(passage_id for row in test for passage_id in row.grades)
    ranked = offline_run.rank(release, {row.query_id: row.text for row in test}, DEPTH, on_progress)
    for rank in range(DEPTH):
        for hits in ranked.values():
            if rank < len(hits) and len(pool) < POOL:
                pool.setdefault(str(hits[rank].passage_id))
    known = Passage.objects.filter(pk__in=[int(passage_id) for passage_id in pool]).values_list("pk", flat=True)
    return [str(pk) for pk in sorted(known)]


def _answers(
    curve: LearningCurve, rows: list[JudgedQuery], on_progress: Progress
) -> Callable[[dict[str, Any] | None], Values]:
    """A function from a training's result (None: the untuned generator) to F1 of each answered test query.

    As many as the untuned one answers in the time: the same ones for every point.
    """
    release = lifecycle.serving(curve.project)
    test = [row for row in rows if row.split == TEST]
    references = {row.query_id: [row.answer or release.refusal] for row in test if row.answer or row.is_unanswerable}
    texts = {row.query_id: row.text for row in test if row.query_id in references}
    rankings = offline_run.rank(release, texts, release.answer_passages, on_progress)
    base = _first(release.generator)
    known = next((point["per_query"] for point in curve.points), None)
    chosen = {query_id: texts[query_id] for query_id in texts if known is None or query_id in known}
    seconds = float(curve.settings.get("answer_seconds", ANSWER_SECONDS))

    def measure(result: dict[str, Any] | None) -> Values:
        nonlocal chosen
        tried = copy.copy(release)
        tried.generator = base if result is None else _adapted(base, result)
        limit = seconds if result is None else None
        written = offline_run.write(tried, chosen, rankings, on_progress, limit)
        chosen = {query_id: chosen[query_id] for query_id in written}
        found = offline_run.measure_answers(written, references)
        return {query_id: values[MEASURES[Component.GENERATOR]] for query_id, values in found.items()}

    return measure


def _adapted(base: Generator, result: dict[str, Any]) -> Generator:
    """The base with a training's adapter, without a row."""
    path = index_builds.stored_path(Path(result["adapter_path"]))
    return Generator(name=base.name, base_path=base.base_path, adapter_path=path, sha256=result["adapter_hash"])
