"""Training cycle: collect → train → index → rerank → evaluate → decide, one step at a time.

The worker and the `loop` command call the same `advance`. When a worker dies in a step, the next worker repeats the
step and finds what is finished already, so nothing is trained, built or decided twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import IntegrityError, transaction
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

# Errors that fail a cycle with their message as its reason; any other error is logged with its traceback too.
REASONS: tuple[type[Exception], ...] = (
    collect.NotEnoughData,
    training_runs.RunError,
    candidate.CandidateError,
    compare.EvaluationError,
    search.CannotSearch,
    lifecycle.CannotGoLive,
    ApiError,
    NoGenerator,
    lifecycle.NoLiveRelease,
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
    """Create a queued cycle at its first step. Raises CycleInProgress while another cycle is unfinished."""
    try:
        with transaction.atomic():
            return Cycle.objects.create(project=project, only=only, gate=gate, seed=seed, settings=settings or {})
    except IntegrityError as error:
        raise CycleInProgress(_("%(project)s already has an unfinished cycle") % {"project": project}) from error


def requeue_orphan(project: Project) -> Cycle | None:
    """Queue the project's cycle again if its worker was lost, and return it; None while its worker may be alive."""
    cycle: Cycle
    for cycle in Cycle.objects.running().filter(project=project):
        is_stale = Cycle.objects.stale().filter(pk=cycle.pk).exists()
        if (is_stale or worker_has_exited(cycle.worker)) and cycle.requeue(message("taken_up_again")):
            return cycle
    return None


def advance(cycle: Cycle, worker: str, on_progress: Progress | None = None) -> bool:
    """Do the current step of the cycle; false when another worker has claimed it.

    Afterwards the cycle is queued at its next step, done, or failed with its reason. When the claim is lost on the
    way (the cycle was cancelled, or another worker took it over), the rows are left to their present worker.
    """
    if not cycle.claim(worker):
        return False
    step = Cycle.Step(cycle.step)
    with run_job(cycle, REASONS) as heartbeat:
        _requeue_interrupted_jobs(cycle)
        _STEP_FUNCTIONS[step](cycle, worker, _progress_reporter(cycle, heartbeat, on_progress))
    cycle.refresh_from_db()
    return True


def cancel(cycle: Cycle, reason: StrOrMessage = "") -> bool:
    """Cancel the cycle with its run and its evaluation; the worker notices at its next heartbeat."""
    with transaction.atomic():
        was_cancelled = cycle.cancel(reason)
        for job in _unfinished_jobs(cycle):
            job.cancel(reason)
    return was_cancelled


def recover_lost() -> list[Cycle]:
    """Queue the cycles of lost workers again, and return the cycles whose message has to be sent now.

    See `recover`. A cycle that fails here fails its unfinished runs and evaluations too.
    """
    return recover(Cycle, reason=lambda cycle: message("silent_at", step=cycle.step), on_failure=_fail_jobs)


def _fail_jobs(cycle: Cycle) -> None:
    for job in _unfinished_jobs(cycle):
        job.fail(cycle.reason)


def _unfinished_jobs(cycle: Cycle) -> list[Run | Evaluation]:
    """Return the unfinished runs and evaluations of the cycle."""
    return [*Run.objects.unfinished().filter(cycle=cycle), *Evaluation.objects.unfinished().filter(cycle=cycle)]


def _requeue_interrupted_jobs(cycle: Cycle) -> None:
    """Queue the jobs again that an earlier worker of the cycle left running: only the cycle's worker does them."""
    for job in _unfinished_jobs(cycle):
        if job.state != JobState.RUNNING:
            continue
        if isinstance(job, Run):
            training_runs.kill_orphan_process(job)
        if not job.requeue(message("taken_up_again")) and job.state == JobState.FAILED:
            raise training_runs.RunError(message("lost_too_often", row=str(job)))


def _progress_reporter(cycle: Cycle, heartbeat: Heartbeat, on_progress: Progress | None) -> Progress:
    """Return a function that stores the progress once a second and passes it on; it raises when the claim is lost."""
    stored_at = 0.0

    def report(done: int, total: int, note: StrOrMessage = "") -> None:
        nonlocal stored_at
        heartbeat.check()
        if on_progress:
            on_progress(done, total, note)
        if done >= total or time.monotonic() - stored_at > 1:
            stored_at = time.monotonic()
            cycle.record_heartbeat(done, total, note)

    return report


def _collect(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    cycle.move_on(dataset=collect.build_dataset(cycle.project, cycle.seed, on_progress))


def _train(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    for run in training_runs.get_or_create_runs(cycle):
        training_runs.train(run, worker, on_progress)
    cycle.move_on()


def _index(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    """Build the index. Without a reranker to train, the candidate is complete, and the next step is skipped."""
    if candidate.trains_reranker(cycle):
        candidate.build_index(cycle, worker, on_progress)
        cycle.move_on()
    else:
        release = candidate.get_or_create_candidate(cycle, worker, on_progress)
        cycle.move_on(Cycle.Step.EVALUATE, challenger=release)


def _rerank(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    cycle.move_on(challenger=candidate.get_or_create_candidate(cycle, worker, on_progress))


def _evaluate(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    compare.evaluate(compare.get_or_create_evaluation(cycle), worker, on_progress)
    cycle.move_on()


def _decide(cycle: Cycle, worker: str, on_progress: Progress) -> None:
    decision = promotion_gate.decide(cycle.evaluation, cycle.gate)
    candidate.retire_old_builds(cycle.project)
    cycle.finish(decision.reason)


_STEP_FUNCTIONS: dict[Cycle.Step, Callable[[Cycle, str, Progress], None]] = {
    Cycle.Step.COLLECT: _collect,
    Cycle.Step.TRAIN: _train,
    Cycle.Step.INDEX: _index,
    Cycle.Step.RERANK: _rerank,
    Cycle.Step.EVALUATE: _evaluate,
    Cycle.Step.DECIDE: _decide,
}
