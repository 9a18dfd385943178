"""Celery tasks of tuning: one step of a cycle per message; the next message is sent when the step is stored."""

from __future__ import annotations

from celery import shared_task

from common.jobs import JobState, enqueue, worker_name
from common.recovery import recover
from retrieval.models import IndexBuild
from retrieval.tasks import build
from tuning.cycles import cycle_schedule, training_cycle
from tuning.learning_curves import learning_curve
from tuning.models import Cycle, LearningCurve, Run
from tuning.training import merged_weights


@shared_task
def advance(cycle_id: int) -> None:
    """Do the current step of the cycle and enqueue the next one. Safe to run twice: the row is claimed once."""
    cycle = Cycle.objects.filter(pk=cycle_id).first()
    if cycle is not None and training_cycle.advance(cycle, worker_name()) and cycle.state == JobState.QUEUED:
        enqueue(advance, cycle.pk)


@shared_task
def learn(curve_id: int) -> None:
    """Measure a learning curve. Safe to run twice: the row is claimed once."""
    curve = LearningCurve.objects.filter(pk=curve_id).first()
    if curve is not None:
        learning_curve.measure(curve, worker_name())


@shared_task
def merge(run_id: int) -> None:
    """Write a run's merged weights. Safe to run twice: existing weights are kept."""
    run = Run.objects.filter(pk=run_id).select_related("generator").first()
    if run is not None:
        merged_weights.merge(run)


@shared_task
def sweep() -> None:
    """Recover lost jobs: index builds, learning curves and cycles. See `common.recovery`."""
    for index_build in recover(IndexBuild):
        enqueue(build, index_build.pk, queue="compute")
    for curve in recover(LearningCurve):
        enqueue(learn, curve.pk, queue="compute")
    for cycle in training_cycle.recover_lost():
        enqueue(advance, cycle.pk)


@shared_task
def schedule() -> None:
    """Start the cycles of the policies that are due."""
    for cycle in cycle_schedule.start_due():
        enqueue(advance, cycle.pk)
