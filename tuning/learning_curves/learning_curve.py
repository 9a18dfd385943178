"""Learning curve: train on nested parts of one dataset, measure each, and estimate the gain of more judgements.

The trainings are those of a run, with a small budget each and on the same queue. Their weights are not kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from common import artifacts
from common.heartbeat import Heartbeat, run_job
from common.messages import StrOrMessage, message
from curation.core.errors import CurationError
from curation.models import Project
from curation.queries import query_vectors
from curation.releases import lifecycle
from tuning.cycles import training_cycle
from tuning.datasets import collect
from tuning.engine.data.examples import TEST, TRAIN, JudgedQuery, write_queries
from tuning.engine.metrics import extrapolation
from tuning.engine.metrics.significance import bootstrap_interval
from tuning.learning_curves.point_metrics import MEASURES, Progress, Values, generator_metric, retriever_metric
from tuning.models import Component, Cycle, LearningCurve, Run
from tuning.training import specification, training_runs
from tuning.training.process import RESULT, SPEC, TrainingProcess

BUDGET_SECONDS = 300.0  # of each training


class LearningCurveInProgress(CurationError):
    """The project has an unfinished learning curve."""


class LearningCurveError(CurationError):
    """A learning curve cannot be measured; the message is the reason."""


REASONS: tuple[type[Exception], ...] = (*training_cycle.REASONS, LearningCurveError)


def start(
    project: Project,
    component: str = Component.RETRIEVER,
    *,
    sizes: list[int] | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
) -> LearningCurve:
    """Create a queued learning curve. It uses the work that is settled when its measurement starts.

    sizes: queries of each training; default: 50, 100, 200 … Raises LearningCurveInProgress.
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
        text = _("%(project)s already has an unfinished learning curve") % {"project": project}
        raise LearningCurveInProgress(text) from error


def measure(curve: LearningCurve, worker: str, on_progress: Progress | None = None) -> bool:
    """Measure the missing points; false when another worker has claimed the curve.

    After a lost worker, the next one continues after the last stored point.
    """
    if not curve.claim(worker):
        return False
    with run_job(curve, REASONS) as heartbeat:
        out = Path(django_settings.DATA_DIR) / "learning" / f"{curve.pk}-{curve.attempts}"
        artifacts.remove_folder(out)
        out.mkdir(parents=True)
        try:
            _measure(curve, heartbeat, out, on_progress or (lambda done, total, note: None))
        finally:
            artifacts.remove_folder(out)
        curve.finish()
    return True


def gains_per_hundred(curve: LearningCurve) -> list[tuple[float, float, float]]:
    """Return (gain per hundred further queries since the point before, low, high) of each point but the first."""
    queries = [point["queries"] for point in curve.points]
    return extrapolation.gains_per_hundred(queries, _value_matrix(curve.points), curve.seed)


def extrapolate(curve: LearningCurve, more: int = 100) -> extrapolation.LearningCurveFit | None:
    """Return the likely gain of the next `more` queries; None with too few points."""
    trained = [point for point in curve.points if point["queries"]]
    return extrapolation.fit_learning_curve([point["queries"] for point in trained], _value_matrix(trained), more)


def _value_matrix(points: list[dict[str, Any]]) -> extrapolation.Floats:
    """Return the values (points, test queries), with the queries in the same order in every row."""
    ids = sorted(points[0]["per_query"]) if points else []
    return np.array([[point["per_query"][query_id] for query_id in ids] for point in points], dtype=np.float64)


def _measure(curve: LearningCurve, heartbeat: Heartbeat, out: Path, on_progress: Progress) -> None:
    def report(done: int, total: int, note: StrOrMessage = "") -> None:
        heartbeat.check()
        on_progress(done, total, note)

    _choose_dataset_and_sizes(curve, report)
    assert curve.dataset is not None  # the line above sets it
    rows, sizes = collect.read_rows(curve.dataset), [0, *curve.sizes]
    run = _unsaved_run(curve)
    spec = specification.write_specification(run, out, report)
    is_retriever = curve.component == Component.RETRIEVER
    metric = retriever_metric(run, rows, report) if is_retriever else generator_metric(curve, rows, report)
    trainer = _PointTrainer(run, spec, rows, heartbeat, report)
    for index, size in enumerate(sizes):
        if index < len(curve.points):
            continue
        curve.record_heartbeat(index, len(sizes), message("n_queries", n=size))
        started = time.monotonic()
        sample = extrapolation.nested_sample([row for row in rows if row.split == TRAIN], size, curve.seed)
        result = trainer.train(sample, out / str(size)) if size else None
        seconds = time.monotonic() - started
        _add_point(curve, sample, metric(result), seconds)
        report(index + 1, len(sizes), message("n_queries", n=size))


def _choose_dataset_and_sizes(curve: LearningCurve, on_progress: Callable[..., None]) -> None:
    """Set the curve's dataset and sizes, unless it has them. Raises LearningCurveError, NotEnoughData."""
    if curve.dataset is not None:
        return
    dataset = collect.build_dataset(curve.project, curve.seed, on_progress)
    release = lifecycle.live_release(curve.project)
    cycle = Cycle(project=curve.project, dataset=dataset)
    reason = training_runs.reason_not_trainable(cycle, Component(curve.component), release)
    if reason:
        raise LearningCurveError(reason)
    total, smallest = dataset.counts[TRAIN]["queries"], extrapolation.MIN_SIZE
    sizes = [size for size in curve.sizes or extrapolation.sample_sizes(total) if smallest <= size <= total]
    if not sizes:
        raise LearningCurveError(message("too_few_for_a_point", n=total, least=smallest))
    curve.dataset, curve.sizes = dataset, sizes
    curve.save(update_fields=["dataset", "sizes"])


def _add_point(curve: LearningCurve, sample: list[JudgedQuery], values: Values, seconds: float) -> None:
    if not values:
        raise LearningCurveError(message("nothing_measured"))
    array = np.array(list(values.values()))
    low, high = bootstrap_interval(array, resamples=extrapolation.RESAMPLES, seed=curve.seed)
    point = {
        "queries": len(sample),
        "grades": sum(len(row.grades) for row in sample),
        "value": float(array.mean()),
        "low": low,
        "high": high,
        "seconds": round(seconds, 1),
        "per_query": {query_id: round(value, 6) for query_id, value in values.items()},
    }
    curve.points = [*curve.points, point]
    curve.save(update_fields=["points"])


def _unsaved_run(curve: LearningCurve) -> Run:
    """Return a run as a cycle of the project would have it, without a row: a curve leaves no runs behind."""
    release = lifecycle.live_release(curve.project)
    budget = {"budget_seconds": curve.settings.get("budget_seconds", BUDGET_SECONDS)}
    cycle = Cycle(project=curve.project, dataset=curve.dataset, seed=curve.seed, settings=curve.settings | budget)
    is_retriever = curve.component == Component.RETRIEVER
    return Run(
        cycle=cycle,
        dataset=curve.dataset,
        component=curve.component,
        seed=curve.seed,
        parent_encoder=query_vectors.first_encoder(curve.project) if is_retriever else None,
        parent_generator=None if is_retriever else training_runs.untuned_generator(release.generator),
    )


@dataclass(frozen=True)
class _PointTrainer:
    """Trains on a part of the training split and on the complete dev split."""

    run: Run
    spec: dict[str, Any]
    rows: list[JudgedQuery]
    heartbeat: Heartbeat
    on_progress: Progress

    def train(self, sample: list[JudgedQuery], out: Path) -> dict[str, Any]:
        """Return the result of a training on these training queries. Raises RunError."""
        out.mkdir(parents=True)
        path = out / "rows.jsonl"
        write_queries(path, [*sample, *(row for row in self.rows if row.split not in (TRAIN, TEST))])
        (out / SPEC).write_text(json.dumps(self.spec | {"queries": str(path)}), encoding="utf-8")
        note = message("training_on", n=len(sample))
        module = django_settings.TRAINERS[self.run.component]
        with TrainingProcess(module, out, django_settings.COMPUTE_THREADS) as process:
            for lines in process.metrics():
                self.heartbeat.check()
                if lines:
                    self.on_progress(int(lines[-1].get("step", 0)), int(lines[-1].get("steps", 0)), note)
            if not process.has_succeeded():
                raise training_runs.RunError(process.failure_reason())
        result: dict[str, Any] = json.loads((out / RESULT).read_text(encoding="utf-8"))
        return result
