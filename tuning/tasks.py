"""Celery's part of the loop: one step a message, the next one sent when the last is written down."""

from __future__ import annotations

from celery import shared_task

from common.jobs import JobState, enqueue, worker_name
from retrieval.tasks import take_up_lost
from tuning.cycles import cycle_schedule, training_cycle
from tuning.learning_curves import learning_curve
from tuning.models import Cycle, LearningCurve, Run
from tuning.training import merged_weights


@shared_task
def advance(cycle_id: int) -> None:
    """Do the step the cycle stands at and ask for the next. Safe to be sent twice: the row is claimed once."""
    cycle = Cycle.objects.filter(pk=cycle_id).first()
    if cycle is not None and training_cycle.advance(cycle, worker_name()) and cycle.state == JobState.QUEUED:
        enqueue(advance, cycle.pk)


@shared_task
def learn(curve_id: int) -> None:
    """Draw a learning curve. Safe to be sent twice: the row is claimed once."""
    curve = LearningCurve.objects.filter(pk=curve_id).first()
    if curve is not None:
        learning_curve.draw(curve, worker_name())


@shared_task
def merge(run_id: int) -> None:
    """Write a run's merged weights. Safe to be sent twice: what is there is left alone."""
    run = Run.objects.filter(pk=run_id).select_related("generator").first()
    if run is not None:
        merged_weights.merge(run)


@shared_task
def sweep() -> None:
    """Take up what lost its worker or its message: builds, cycles and learning curves."""
    take_up_lost()
    for curve in learning_curve.sweep():
        enqueue(learn, curve.pk, queue="compute")
    for cycle in training_cycle.sweep():
        enqueue(advance, cycle.pk)


@shared_task
def schedule() -> None:
    """Start the cycles that policies ask for."""
    for cycle in cycle_schedule.start_due():
        enqueue(advance, cycle.pk)
