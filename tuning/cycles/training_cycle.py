"""One cycle of the loop: collect → train → index → evaluate → decide, one step at a time.

Celery and the foreground command call the same `advance`. A step that was half done when its worker died is done
again by the next one and finds what is finished already, so that nothing is trained, built or decided twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from common.artifacts import Damaged
from common.heartbeat import Heartbeat, run_job
from common.jobs import JobState, worker_has_exited
from common.messages import StrOrMessage, message
from common.recovery import recover
from curation.engine.generation.api_generator import ApiError
from curation.engine.generation.gguf import NoGenerator
from curation.models import Project
from curation.releases import lifecycle
from retrieval.engine.encoders.bi_encoder import NoEncoder
from retrieval.search import search
from tuning.datasets import collect
from tuning.evaluation import compare
from tuning.models import Cycle, Evaluation, Gate, Run
from tuning.promotion import candidate, promotion_gate
from tuning.training import training_runs

Progress = Callable[[int, int, StrOrMessage], None]

# What ends a cycle with a reason a curator could read, rather than with a traceback.
REASONS: tuple[type[Exception], ...] = (
    collect.TooLittle,
    training_runs.CannotTrain,
    candidate.CannotBuild,
    compare.CannotMeasure,
    search.CannotSearch,
    lifecycle.NotServable,
    ApiError,
    NoGenerator,
    lifecycle.NothingServes,
    NoEncoder,
    Damaged,
)


class CycleInProgress(Exception):
    """The project has an unfinished cycle."""


def start(
    project: Project,
    *,
    only: str = "",
    gate: str = Gate.AUTO,
    seed: int = 0,
    settings: dict[str, object] | None = None,
) -> Cycle:
    """A queued cycle at its first step. Raises CycleInProgress while another is unfinished."""
    try:
        with transaction.atomic():
            return Cycle.objects.create(project=project, only=only, gate=gate, seed=seed, settings=settings or {})
    except IntegrityError as error:
        raise CycleInProgress(_("%(project)s already has an unfinished cycle") % {"project": project}) from error


def left_behind(project: Project) -> Cycle | None:
    """The project's cycle whose worker is no more, queued again at its step; none when somebody may be at it."""
    cycle: Cycle
    for cycle in Cycle.objects.running().filter(project=project):
        silent = Cycle.objects.stale().filter(pk=cycle.pk).exists()
        if (silent or worker_has_exited(cycle.worker)) and cycle.requeue(message("taken_up_again")):
            return cycle
    return None


def advance(cycle: Cycle, worker: str, on_progress: Progress | None = None) -> bool:
    """Do the step the cycle stands at; true when it was ours to do, whatever came of it.

    Afterwards the cycle is queued at its next step, done, or failed with its reason. A claim lost on the way
    (cancelled, or taken up by another after a silence) leaves the rows to whoever has them now.
    """
    if not cycle.claim(worker):
        return False
    step = Cycle.Step(cycle.step)
    with run_job(cycle, REASONS) as heartbeat:
        _take_up(cycle)
        _DOING[step](cycle, worker, _heard(cycle, heartbeat, on_progress))
    cycle.refresh_from_db()
    return True


def cancel(cycle: Cycle, reason: StrOrMessage = "") -> bool:
    """Stop the cycle and what runs for it; its worker learns it from the next heartbeat."""
    with transaction.atomic():
        stopped = cycle.cancel(reason)
        for row in _parts(cycle):
            row.cancel(reason)
    return stopped


def recover_lost() -> list[Cycle]:
    """Queue the cycles of lost workers again, and return the cycles whose message has to be sent now.

    See `recover`. A cycle that fails here fails its unfinished runs and evaluations too.
    """
    return recover(Cycle, reason=lambda cycle: message("silent_at", step=cycle.step), on_failure=_fail_parts)


def _fail_parts(cycle: Cycle) -> None:
    for row in _parts(cycle):
        row.fail(cycle.reason)


def _parts(cycle: Cycle) -> list[Run | Evaluation]:
    """The unfinished rows that work for the cycle."""
    return [*Run.objects.unfinished().filter(cycle=cycle), *Evaluation.objects.unfinished().filter(cycle=cycle)]


def _take_up(cycle: Cycle) -> None:
    """Queue again what an earlier holder of the cycle left running: only the cycle's holder works on its parts."""
    for row in _parts(cycle):
        if row.state != JobState.RUNNING:
            continue
        if isinstance(row, Run):
            training_runs.stop_stray(row)
        if not row.requeue(message("taken_up_again")) and row.state == JobState.FAILED:
            raise training_runs.CannotTrain(message("lost_too_often", row=str(row)))


def _heard(cycle: Cycle, heartbeat: Heartbeat, on_progress: Progress | None) -> Progress:
    """Progress into the cycle's row once a second, and to whoever watches; ends the work when the claim is lost."""
    last = 0.0

    def report(done: int, total: int, note: StrOrMessage = "") -> None:
        nonlocal last
        heartbeat.check()
        if on_progress:
            on_progress(done, total, note)
        if done >= total or time.monotonic() - last > 1:
            last = time.monotonic()
            cycle.record_heartbeat(done, total, note)

    return report


def _collect(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    cycle.move_on(dataset=collect.collect(cycle.project, cycle.seed, on_progress))


def _train(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    for run in training_runs.prepare(cycle):
        training_runs.train(run, worker, on_progress)
    cycle.move_on()


def _index(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    cycle.move_on(challenger=candidate.challenger(cycle, worker, on_progress))


def _evaluate(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    compare.evaluate(compare.prepare(cycle), worker, on_progress)
    cycle.move_on()


def _decide(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    decision = promotion_gate.decide(cycle.evaluation, cycle.gate)
    candidate.tidy(cycle.project)
    cycle.finish(decision.reason)


_DOING: dict[Cycle.Step, Callable[[Cycle, str, Progress], None]] = {
    Cycle.Step.COLLECT: _collect,
    Cycle.Step.TRAIN: _train,
    Cycle.Step.INDEX: _index,
    Cycle.Step.EVALUATE: _evaluate,
    Cycle.Step.DECIDE: _decide,
}
