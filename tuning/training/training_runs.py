"""Training runs: what a cycle trains, and one run from queued to done, with its specification, process and result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from common import artifacts, code_version
from common.heartbeat import Heartbeat
from common.jobs import JobState
from common.messages import Message, StrOrMessage, message, message_of_error
from common.renamed_keys import with_current_keys
from curation.models import Generator, Release
from curation.queries import query_vectors
from curation.releases import lifecycle
from tuning.engine.process.training_process import TrainingError
from tuning.models import Component, Cycle, Run
from tuning.training import lm_disagreement, run_result, specification
from tuning.training.process import CHECKPOINT, RESULT, SPEC, TrainingProcess, kill_orphan

Progress = Callable[[int, int, StrOrMessage], None]


class RunError(Exception):
    """A component cannot be trained; the message is the reason."""


def get_or_create_runs(cycle: Cycle) -> list[Run]:
    """Return a run for each component that the cycle trains, the retriever first. The first call creates them.

    A component without training data is skipped (`skipped_components` has the reason), unless the cycle is for this
    component only: then RunError is raised, and so it is when no component is left.
    """
    release = lifecycle.live_release(cycle.project)
    runs = []
    for component in components_to_train(cycle):
        reason = reason_not_trainable(cycle, component, release)
        if reason and cycle.only:
            raise RunError(reason)
        if not reason:
            runs.append(_get_or_create_run(cycle, component, release))
    if not runs:
        raise RunError(message("nothing_to_learn"))
    return runs


def get_or_create_reranker_run(cycle: Cycle) -> Run:
    """Return the run of the cycle's reranker. The first call creates it."""
    return _get_or_create_run(cycle, Component.RERANKER, lifecycle.live_release(cycle.project))


def components_to_train(cycle: Cycle) -> list[Component]:
    """Return the components that the cycle is for, without the reranker."""
    return [Component(cycle.only)] if cycle.only else [Component.RETRIEVER, Component.GENERATOR]


def is_reranker_enabled(settings: Mapping[str, Any]) -> bool:
    """Whether a cycle's settings ask for a reranker after the retriever: {"reranker": {"enabled": true}}."""
    return bool(settings.get(Component.RERANKER, {}).get("enabled"))


def with_reranker(settings: Mapping[str, Any], enabled: bool) -> dict[str, Any]:
    """Return the settings with the reranker enabled or not; its other settings stay."""
    if is_reranker_enabled(settings) == enabled:
        return dict(settings)
    return {**settings, Component.RERANKER.value: {**settings.get(Component.RERANKER, {}), "enabled": enabled}}


def reason_not_trainable(cycle: Cycle, component: Component, release: Release) -> StrOrMessage:
    """Return why this component cannot be trained in this cycle; empty when it can."""
    assert cycle.dataset is not None  # the step before built it
    counts = cycle.dataset.counts["train"]
    if component == Component.RETRIEVER:
        return "" if counts["grades"] else message("no_grades")
    if release.generator.kind == Generator.Kind.API:
        return message("generator_elsewhere")
    if counts["answers"] + counts["unanswerable"] == 0:
        return message("no_answers")
    return ""


def skipped_components(cycle: Cycle) -> dict[str, StrOrMessage]:
    """Return component → reason, for the components that the cycle skips."""
    release = lifecycle.live_release(cycle.project)
    reasons = {
        component.value: reason_not_trainable(cycle, component, release) for component in components_to_train(cycle)
    }
    return {component: reason for component, reason in reasons.items() if reason}


def train(run: Run, worker: str, on_progress: Progress, candidate: Release | None = None) -> Run:
    """Train the run and return it; do nothing when it was done before. Raises RunError.

    on_progress is called about every POLL_SECONDS and may raise to stop the training. candidate: the release whose
    rankings the training learns from; default: the live release.
    """
    if run.state == JobState.DONE:
        return run
    if not run.claim(worker):
        raise RunError(run.reason or message("is_in_state", what=str(run), state=run.state))
    try:
        with Heartbeat(run) as heartbeat:
            _train(run, heartbeat, on_progress, candidate)
            _store_result(run)
    except RunError as error:
        run.fail(message_of_error(error))
        raise
    run.finish()
    return run


def kill_orphan_process(run: Run) -> None:
    """Kill the process of a lost worker, if it is on this machine."""
    if run.pid:
        kill_orphan(run.pid, [run_folder(run), run_folder(run) / "scores"])


def run_folder(run: Run) -> Path:
    """Return the folder of the run's specification, metrics and checkpoint."""
    return Path(settings.DATA_DIR) / run.path


def untuned_generator(generator: Generator) -> Generator:
    """Return the generator without any adapter: each adapter is trained on all work, never on top of another."""
    while generator.parent is not None:
        generator = generator.parent
    return generator


def _get_or_create_run(cycle: Cycle, component: Component, release: Release) -> Run:
    assert cycle.dataset is not None  # the step before built it
    is_generator = component == Component.GENERATOR
    encoder, generator = query_vectors.first_encoder(cycle.project), untuned_generator(release.generator)
    run, _is_new = Run.objects.get_or_create(
        cycle=cycle,
        component=component,
        defaults={
            "dataset": cycle.dataset,
            "seed": cycle.seed,
            "path": f"runs/{cycle.pk}-{component.value}",
            "parent_encoder": None if is_generator else encoder,
            "parent_generator": generator if is_generator else None,
        },
    )
    return run


def _train(run: Run, heartbeat: Heartbeat, on_progress: Progress, candidate: Release | None) -> None:
    """Run the training process to its end. A result that is there already is used: its worker died after the end."""
    out = run_folder(run)
    if (out / RESULT).exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    artifacts.remove_folder(out / CHECKPOINT)  # without a result, a killed training left it
    spec = specification.write_specification(run, out, on_progress, candidate)
    started = time.monotonic()
    if run.component == Component.RETRIEVER:
        spec["scores"], supervision = _lm_scores(run, spec, out, heartbeat, on_progress)
        run.record["supervision"] = supervision.to_json()
    run.record |= {"code": code_version.version()}
    _save(run, settings=spec, record=run.record)
    _run_process(run, settings.TRAINERS[run.component], spec, out, heartbeat, on_progress)
    _save(run, seconds=time.monotonic() - started, pid=None, seconds_left=0.0)


def _lm_scores(
    run: Run, spec: dict[str, Any], out: Path, heartbeat: Heartbeat, on_progress: Progress
) -> tuple[str | None, Message]:
    """Return the path of the language model's scores, or None, and a message about the supervision of the retriever.

    Grades alone are enough. So an error of the scoring is put into the message and does not fail the run.
    """
    module = settings.TRAINERS.get("scores")
    if module is None or not run.dataset.counts["train"]["answers"]:
        return None, message("taught_by_grades", why=message("nothing_to_score"))
    if spec["settings"].get("lm_weight") == 0:
        return None, message("taught_by_grades", why=message("settings_ask"))
    folder = out / "scores"
    folder.mkdir(exist_ok=True)
    try:
        scoring_spec = specification.scoring_specification(run, spec)
        if not (scoring_spec["supervised_queries"] or scoring_spec["disagreement_queries"]):
            return None, message("taught_by_grades", why=message("graded_all"))
        if not (folder / RESULT).exists():
            _run_process(run, module, scoring_spec, folder, heartbeat, on_progress)
    except (RunError, TrainingError) as error:
        return None, message("taught_by_grades", why=message_of_error(error))
    result = with_current_keys("lm scores result", json.loads((folder / RESULT).read_text(encoding="utf-8")))
    if result["supervised_scored"] or result["disagreement_scored"]:
        lm_disagreement.record_disagreement(run.cycle.project, Path(result["scores"]), Path(spec["candidates"]))
    if scored := result["supervised_scored"]:
        return result["scores"], message("taught_by_both", n=scored, of=result["supervised_total"])
    reason = message("no_time_to_score" if result["supervised_total"] else "graded_all")
    return None, message("taught_by_grades", why=reason)


def _run_process(
    run: Run, module: str, spec: dict[str, Any], out: Path, heartbeat: Heartbeat, on_progress: Progress
) -> None:
    """Run one process from its specification to its result, with its metrics in the row. Raises RunError."""
    (out / SPEC).write_text(json.dumps(spec, indent=1, sort_keys=True), encoding="utf-8")
    with TrainingProcess(module, out, settings.COMPUTE_THREADS) as process:
        _save(run, pid=process.pid)
        for lines in process.metrics():
            heartbeat.check()
            if lines:
                _record_metrics(run, lines[-1], on_progress)
        if not process.has_succeeded():
            raise RunError(process.failure_reason())


def _record_metrics(run: Run, line: dict[str, Any], on_progress: Progress) -> None:
    """Store one line of the training's metrics in the row, and report the progress."""
    step, steps = int(line.get("step", 0)), int(line.get("steps", 0))
    terms = [str(line[name]) for name in ("candidate", "note") if line.get(name)]
    loss, seconds_left = line.get("loss"), line.get("seconds_left")
    run.record_heartbeat(step, steps, message("spoken", parts=terms) if terms else "")
    _save(
        run,
        loss=run.loss if loss is None else loss,
        seconds_left=seconds_left,
        seconds=line.get("seconds", run.seconds),
    )
    on_progress(step, steps, message(f"training_{run.component}"))


def _save(run: Run, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(run, name, value)
    run.save(update_fields=list(changes))


def _store_result(run: Run) -> None:
    result = json.loads((run_folder(run) / RESULT).read_text(encoding="utf-8"))
    try:
        run_result.store_result(run, result)
    except artifacts.Damaged as error:
        raise RunError(str(error)) from error
