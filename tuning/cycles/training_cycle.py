"""One turn of the loop: collect → train → index → evaluate → decide, one step at a time.

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
from common.heartbeat import Hold, carried
from common.jobs import JobState, is_gone
from common.messages import Said, say
from curation.engine.generation.api_generator import ApiError
from curation.engine.generation.gguf import NoGenerator
from curation.models import Project
from curation.releases import lifecycle
from retrieval.engine.encoders.bi_encoder import NoEncoder
from retrieval.search import search
from tuning.datasets import collect
from tuning.evaluation import compare
from tuning.models import Evaluation, Gate, Run, Turn
from tuning.promotion import candidate, promotion_gate
from tuning.training import training_runs

Progress = Callable[[int, int, Said], None]

# What ends a turn with a reason a curator could read, rather than with a traceback.
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


class AlreadyTurning(Exception):
    """The project has an unfinished turn."""


def start(
    project: Project,
    *,
    only: str = "",
    gate: str = Gate.AUTO,
    seed: int = 0,
    settings: dict[str, object] | None = None,
) -> Turn:
    """A queued turn at its first step. Raises AlreadyTurning while another is unfinished."""
    try:
        with transaction.atomic():
            return Turn.objects.create(project=project, only=only, gate=gate, seed=seed, settings=settings or {})
    except IntegrityError as error:
        raise AlreadyTurning(_("%(project)s already has an unfinished turn") % {"project": project}) from error


def left_behind(project: Project) -> Turn | None:
    """The project's turn whose worker is no more, queued again at its step; none when somebody may be at it."""
    turn: Turn
    for turn in Turn.objects.running().filter(project=project):
        silent = Turn.objects.stale().filter(pk=turn.pk).exists()
        if (silent or is_gone(turn.worker)) and turn.requeue(say("taken_up_again")):
            return turn
    return None


def advance(turn: Turn, worker: str, on_progress: Progress | None = None) -> bool:
    """Do the step the turn stands at; true when it was ours to do, whatever came of it.

    Afterwards the turn is queued at its next step, done, or failed with its reason. A claim lost on the way
    (cancelled, or taken up by another after a silence) leaves the rows to whoever has them now.
    """
    if not turn.claim(worker):
        return False
    step = Turn.Step(turn.step)
    with carried(turn, REASONS) as hold:
        _take_up(turn)
        _DOING[step](turn, worker, _heard(turn, hold, on_progress))
    turn.refresh_from_db()
    return True


def cancel(turn: Turn, reason: Said = "") -> bool:
    """Stop the turn and what runs for it; its worker learns it from the next heartbeat."""
    with transaction.atomic():
        stopped = turn.cancel(reason)
        for row in _parts(turn):
            row.cancel(reason)
    return stopped


def sweep() -> list[Turn]:
    """The queued turns no message may be on its way for, after those that lost their worker were queued again.

    A turn is given once per STALE_SECONDS: until then its message may still wait behind longer work.
    """
    for turn in Turn.objects.stale():
        again = turn.requeue(say("silent_at", step=turn.step))
        if not again and turn.state == JobState.FAILED:
            for row in _parts(turn):
                row.fail(turn.reason)
    silent = timezone.now() - timedelta(seconds=django_settings.STALE_SECONDS)
    forgotten = Turn.objects.queued().filter(Q(heartbeat_at__lt=silent) | Q(heartbeat_at=None, created_at__lt=silent))
    return [turn for turn in forgotten if forgotten.filter(pk=turn.pk).update(heartbeat_at=timezone.now())]


def _parts(turn: Turn) -> list[Run | Evaluation]:
    """The unfinished rows that work for the turn."""
    return [*Run.objects.unfinished().filter(turn=turn), *Evaluation.objects.unfinished().filter(turn=turn)]


def _take_up(turn: Turn) -> None:
    """Queue again what an earlier holder of the turn left running: only the turn's holder works on its parts."""
    for row in _parts(turn):
        if row.state != JobState.RUNNING:
            continue
        if isinstance(row, Run):
            training_runs.stop_stray(row)
        if not row.requeue(say("taken_up_again")) and row.state == JobState.FAILED:
            raise training_runs.CannotTrain(say("lost_too_often", row=str(row)))


def _heard(turn: Turn, hold: Hold, on_progress: Progress | None) -> Progress:
    """Progress into the turn's row once a second, and to whoever watches; ends the work when the claim is lost."""
    last = 0.0

    def report(done: int, total: int, note: Said = "") -> None:
        nonlocal last
        hold.check()
        if on_progress:
            on_progress(done, total, note)
        if done >= total or time.monotonic() - last > 1:
            last = time.monotonic()
            turn.beat(done, total, note)

    return report


def _collect(turn: Turn, worker: str, on_progress: Progress) -> None:
    turn.move_on(dataset=collect.collect(turn.project, turn.seed, on_progress))


def _train(turn: Turn, worker: str, on_progress: Progress) -> None:
    for run in training_runs.prepare(turn):
        training_runs.train(run, worker, on_progress)
    turn.move_on()


def _index(turn: Turn, worker: str, on_progress: Progress) -> None:
    turn.move_on(challenger=candidate.challenger(turn, worker, on_progress))


def _evaluate(turn: Turn, worker: str, on_progress: Progress) -> None:
    compare.evaluate(compare.prepare(turn), worker, on_progress)
    turn.move_on()


def _decide(turn: Turn, worker: str, on_progress: Progress) -> None:
    decision = promotion_gate.decide(turn.evaluation, turn.gate)
    candidate.tidy(turn.project)
    turn.finish(decision.reason)


_DOING: dict[Turn.Step, Callable[[Turn, str, Progress], None]] = {
    Turn.Step.COLLECT: _collect,
    Turn.Step.TRAIN: _train,
    Turn.Step.INDEX: _index,
    Turn.Step.EVALUATE: _evaluate,
    Turn.Step.DECIDE: _decide,
}
