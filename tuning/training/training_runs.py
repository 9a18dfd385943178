"""Carry one run from queued to trained: its specification, its process, its result as a row."""

from __future__ import annotations

import hashlib
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
from curation.models import Generator, Release
from curation.queries import query_vectors
from curation.releases import lifecycle
from retrieval.index import index_builds
from retrieval.models import Encoder, Reranker
from tuning.engine.process.training_process import CannotFit
from tuning.models import Component, Cycle, Run
from tuning.training import lm_disagreement, specification
from tuning.training.process import CHECKPOINT, RESULT, SPEC, Follower, end_stray

Progress = Callable[[int, int, StrOrMessage], None]


class CannotTrain(Exception):
    """A component cannot learn, with the reason its training or its data gives."""


def prepare(cycle: Cycle) -> list[Run]:
    """A run for each component that is to learn, the retriever first; made at the first call. Raises CannotTrain.

    A component that was not asked for by name and has nothing to learn from is left out (`left_out` says why).
    """
    release = lifecycle.serving(cycle.project)
    runs = []
    for component in wanted(cycle):
        why = why_not(cycle, component, release)
        if why and cycle.only:
            raise CannotTrain(why)
        if not why:
            runs.append(_run(cycle, component, release))
    if not runs:
        raise CannotTrain(message("nothing_to_learn"))
    return runs


def wanted(cycle: Cycle) -> list[Component]:
    return [Component(cycle.only)] if cycle.only else [Component.RETRIEVER, Component.GENERATOR]


def wants_reranker(settings: Mapping[str, Any]) -> bool:
    """Whether a cycle's settings ask for a reranker after the retriever: {"reranker": {"enabled": true}}."""
    return bool(settings.get(Component.RERANKER, {}).get("enabled"))


def with_reranker(settings: Mapping[str, Any], is_wanted: bool) -> dict[str, Any]:
    """The settings, asking for a reranker or not; what else they say of one stays."""
    if wants_reranker(settings) == is_wanted:
        return dict(settings)
    return {**settings, Component.RERANKER.value: {**settings.get(Component.RERANKER, {}), "enabled": is_wanted}}


def prepare_reranker(cycle: Cycle) -> Run:
    """The run of the cycle's reranker; made at the first call."""
    return _run(cycle, Component.RERANKER, lifecycle.serving(cycle.project))


def why_not(cycle: Cycle, component: Component, release: Release) -> StrOrMessage:
    """Why this component cannot learn in this cycle; empty when it can."""
    assert cycle.dataset is not None
    counts = cycle.dataset.counts["train"]
    if component == Component.RETRIEVER:
        return "" if counts["grades"] else message("no_grades")
    if release.generator.kind == Generator.Kind.API:
        return message("generator_elsewhere")
    if counts["answers"] + counts["unanswerable"] == 0:
        return message("no_answers")
    return ""


def left_out(cycle: Cycle) -> dict[str, StrOrMessage]:
    """The components that this cycle does not train, each with the reason."""
    release = lifecycle.serving(cycle.project)
    reasons = {component.value: why_not(cycle, component, release) for component in wanted(cycle)}
    return {component: why for component, why in reasons.items() if why}


def train(run: Run, worker: str, on_progress: Progress, tried: Release | None = None) -> Run:
    """The run, trained; as it is when it was trained before. Raises CannotTrain.

    on_progress is called about every LOOK_SECONDS and may raise to stop the training. tried: the release whose
    rankings are learned from, where it is not the serving one.
    """
    if run.state == JobState.DONE:
        return run
    if not run.claim(worker):
        raise CannotTrain(run.reason or message("is_in_state", what=str(run), state=run.state))
    try:
        with Heartbeat(run) as heartbeat:
            _fit(run, heartbeat, on_progress, tried)
            _register(run)
    except CannotTrain as error:
        run.fail(message_of_error(error))
        raise
    run.finish()
    return run


def stop_stray(run: Run) -> None:
    """End the process a lost worker left behind, where it is on this machine."""
    if run.pid:
        end_stray(run.pid, [folder(run), folder(run) / "scores"])


def folder(run: Run) -> Path:
    """Where the run's specification, metrics and checkpoint are."""
    return Path(settings.DATA_DIR) / run.path


def _run(cycle: Cycle, component: Component, release: Release) -> Run:
    assert cycle.dataset is not None  # the step before made it
    encoder, generator = query_vectors.first_encoder(cycle.project), _first(release.generator)
    run, _made = Run.objects.get_or_create(
        cycle=cycle,
        component=component,
        defaults={
            "dataset": cycle.dataset,
            "seed": cycle.seed,
            "path": f"runs/{cycle.pk}-{component.value}",
            "parent_encoder": None if component == Component.GENERATOR else encoder,
            "parent_generator": generator if component == Component.GENERATOR else None,
        },
    )
    return run


def _first(generator: Generator) -> Generator:
    """The untuned generator behind it: adapters are trained anew on all work, not piled up."""
    while generator.parent is not None:
        generator = generator.parent
    return generator


def _fit(run: Run, heartbeat: Heartbeat, on_progress: Progress, tried: Release | None) -> None:
    """Run the training process to its end, unless an earlier worker saw it end and died before writing it down."""
    out = folder(run)
    if (out / RESULT).exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    artifacts.remove_folder(out / CHECKPOINT)  # without a result it is what a killed training left
    spec = specification.specification(run, out, on_progress, tried)
    began = time.monotonic()
    if run.component == Component.RETRIEVER:
        spec["scores"], taught_by = _scores(run, spec, out, heartbeat, on_progress)
        run.record["taught_by"] = taught_by.to_json()
    run.record |= {"code": code_version.version()}
    _note(run, settings=spec, record=run.record)
    _follow(run, settings.TRAINERS[run.component], spec, out, heartbeat, on_progress)
    _note(run, seconds=time.monotonic() - began, pid=None, seconds_left=0.0)


def _scores(
    run: Run, spec: dict[str, Any], out: Path, heartbeat: Heartbeat, on_progress: Progress
) -> tuple[str | None, Message]:
    """The file of the language model's scores, if there is one to be had, and who teaches the retriever.

    People's grades are enough, so whatever is in the way of the scores is written down and ends nothing.
    """
    module = settings.TRAINERS.get("scores")
    if module is None or not run.dataset.counts["train"]["answers"]:
        return None, message("taught_by_grades", why=message("nothing_to_score"))
    if spec["settings"].get("lm") == 0:
        return None, message("taught_by_grades", why=message("settings_ask"))
    place = out / "scores"
    place.mkdir(exist_ok=True)
    try:
        wanted = specification.scoring(run, spec)
        if not (wanted["teach"] or wanted["beside"]):
            return None, message("taught_by_grades", why=message("graded_all"))
        if not (place / RESULT).exists():
            _follow(run, module, wanted, place, heartbeat, on_progress)
    except (CannotTrain, CannotFit) as error:
        return None, message("taught_by_grades", why=message_of_error(error))
    result = json.loads((place / RESULT).read_text(encoding="utf-8"))
    if result["queries"] or result["beside"]:
        lm_disagreement.note(run.cycle.project, Path(result["scores"]), Path(spec["candidates"]))
    if result["queries"]:
        return result["scores"], message("taught_by_both", n=result["queries"], of=result["of"])
    return None, message("taught_by_grades", why=message("no_time_to_score" if result["of"] else "graded_all"))


def _follow(run: Run, module: str, spec: dict[str, Any], out: Path, heartbeat: Heartbeat, on_progress: Progress) -> None:
    """One process from its specification to its result, its lines into the row. Raises CannotTrain."""
    (out / SPEC).write_text(json.dumps(spec, indent=1, sort_keys=True), encoding="utf-8")
    with Follower(module, out, settings.COMPUTE_THREADS) as follower:
        _note(run, pid=follower.process.pid)
        for lines in follower.lines():
            heartbeat.check()
            if lines:
                _heed(run, lines[-1], on_progress)
        if follower.process.returncode != 0 or not (out / RESULT).exists():
            raise CannotTrain(follower.reason())


def _heed(run: Run, line: dict[str, Any], on_progress: Progress) -> None:
    """One line of the training's metrics, into the row and to whoever watches."""
    step, steps = int(line.get("step", 0)), int(line.get("steps", 0))
    said = [str(line[name]) for name in ("candidate", "note") if line.get(name)]
    loss, left = line.get("loss"), line.get("seconds_left")
    run.record_heartbeat(step, steps, message("spoken", parts=said) if said else "")
    _note(run, loss=run.loss if loss is None else loss, seconds_left=left, seconds=line.get("seconds", run.seconds))
    on_progress(step, steps, message(f"training_{run.component}"))


def _note(run: Run, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(run, name, value)
    run.save(update_fields=list(changes))


def _register(run: Run) -> None:
    """The result as a row, after its files were found to be what the training says it wrote. Raises CannotTrain."""
    result = json.loads((folder(run) / RESULT).read_text(encoding="utf-8"))
    try:
        if run.component == Component.RETRIEVER:
            run.encoder = _encoder(run, result)
        elif run.component == Component.RERANKER:
            run.reranker = _reranker(run, result)
            run.record |= {"rerank_depth": result["depth"], "rerank_share": result["share"]}
        else:
            run.generator = _generator(run, result)
    except artifacts.Damaged as error:
        raise CannotTrain(str(error)) from error
    run.record |= result["record"] | {"choice": result.get("choice", ""), "curves": result.get("curves", {})}
    run.save(update_fields=["encoder", "generator", "reranker", "record"])


def _encoder(run: Run, result: dict[str, Any]) -> Encoder:
    """The row of the encoder; a side that did not learn stays the parent's, and with it the vectors."""
    parent = run.parent_encoder
    assert parent is not None
    sides: dict[str, Any] = {}
    for side in ("query", "passage"):
        digest = result[f"{side}_hash"]
        if digest == getattr(parent, f"{side}_hash"):
            path = getattr(parent, f"{side}_path")
        else:
            artifacts.verify(Path(result[f"{side}_path"]), digest)
            path = index_builds.stored_path(Path(result[f"{side}_path"]))
        sides |= {f"{side}_hash": digest, f"{side}_path": path}
    same = {name: sides[name] for name in ("query_hash", "passage_hash")}
    prefixes = {"query_prefix": parent.query_prefix, "passage_prefix": parent.passage_prefix}
    encoder, _made = Encoder.objects.get_or_create(
        **same,
        **prefixes,
        defaults=sides
        | {
            "name": f"{parent.name} · {run.cycle.project.slug} {run.cycle_id}",
            "dim": parent.dim,
            "temperature": result.get("temperature", parent.temperature),
            "parent": parent,
        },
    )
    return encoder


def _reranker(run: Run, result: dict[str, Any]) -> Reranker | None:
    """The row of the reranker; None where dev found that none is best."""
    if "reranker_path" not in result:
        return None
    target = Path(result["reranker_path"])
    artifacts.verify(target, result["reranker_hash"])
    name = f"{Path(run.settings['base']).name} · {run.cycle.project.slug} {run.cycle_id}"
    row, _made = Reranker.objects.get_or_create(
        sha256=result["reranker_hash"], defaults={"name": name, "path": index_builds.stored_path(target)}
    )
    return row


def _generator(run: Run, result: dict[str, Any]) -> Generator:
    """The row of the generator: the parent's weights with the adapter that was trained."""
    parent = run.parent_generator
    assert parent is not None
    adapter = Path(result["adapter_path"])
    artifacts.verify(adapter, result["adapter_hash"])
    generator, _made = Generator.objects.get_or_create(
        sha256=hashlib.sha256(f"{parent.sha256}\n{result['adapter_hash']}".encode()).hexdigest(),
        defaults={
            "name": f"{parent.name} · {run.cycle.project.slug} {run.cycle_id}",
            "base_path": parent.base_path,
            "adapter_path": index_builds.stored_path(adapter),
            "parent": parent,
        },
    )
    return generator
