"""What was trained becomes a challenger: a new build where the encoder is new, a fusion weight, a candidate release."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from common.jobs import JobState
from common.messages import StrOrMessage, message, message_of_error
from curation.engine.statistics import relevance
from curation.models import Project, Release
from curation.releases import lifecycle, retrieve
from retrieval.engine.indexes import score_fusion
from retrieval.index import index_builds
from retrieval.models import IndexBuild
from retrieval.search import search
from tuning.datasets import collect
from tuning.engine.data.examples import DEV
from tuning.models import Component, Cycle, Run
from tuning.promotion import answer_mode
from tuning.training import training_runs

KEPT_BEFORE = 2  # releases before the serving one whose builds stay, to roll back to
_LOOK_SECONDS = 1.0
_CARRIED = (
    *("project", "number", "prompt", "refusal", "answer_passages", "answer_mode"),
    *("generator", "reranker", "rerank_depth", "rerank_share"),
)

Progress = Callable[[int, int, StrOrMessage], None]


class CannotBuild(Exception):
    """The challenger's index could not be built; the message is the build's reason."""


def challenger(cycle: Cycle, worker: str, on_progress: Progress) -> Release:
    """The candidate release of what the cycle trained; the cycle's own when it has one. Raises CannotBuild."""
    if cycle.challenger is not None:
        return cycle.challenger
    runs = {Component(run.component): run for run in cycle.runs.done()}
    champion = lifecycle.serving(cycle.project)
    build, weight = champion.build, champion.fusion_weight
    if Component.RETRIEVER in runs:
        build = _build(cycle, runs[Component.RETRIEVER], champion, worker, on_progress)
        weight = _weight(cycle, build, weight)
    changes: dict[str, Any] = {"build": build, "fusion_weight": weight}
    if Component.RETRIEVER in runs and training_runs.wants_reranker(cycle.settings):
        changes |= _reranker(cycle, _tried(champion, changes), worker, on_progress)
    if Component.GENERATOR in runs:
        changes["generator"] = runs[Component.GENERATOR].generator
        changes["answer_mode"] = answer_mode.way(runs[Component.GENERATOR], _tried(champion, changes), on_progress)
    return lifecycle.next_release(cycle.project, **changes)


def tidy(project: Project) -> list[IndexBuild]:
    """The builds whose disk was given back: of releases that neither serve nor are near enough to roll back to.

    The base's build is always kept, so that every later release can still be measured against it.
    """
    sharing = Project.objects.filter(corpus=project.corpus)
    kept = {build_id for sharer in sharing for build_id in _kept(sharer)}
    old = IndexBuild.objects.searchable().filter(releases__project=project).exclude(pk__in=kept).distinct()
    retired = list(old)
    for build in retired:
        index_builds.retire(build)
    return retired


def _kept(project: Project) -> set[int]:
    releases = {release.pk: release for release in project.releases.all()}
    kept = {release.build_id for release in releases.values() if release.state == Release.State.CANDIDATE}
    kept |= {min(releases.values(), key=lambda release: release.number).build_id} if releases else set()
    at = next((release for release in releases.values() if release.state == Release.State.SERVING), None)
    for _step in range(KEPT_BEFORE + 1):
        if at is None:
            break
        kept.add(at.build_id)
        at = releases.get(at.previous_id or 0)
    return kept


def _tried(champion: Release, changes: dict[str, Any]) -> Release:
    """What the challenger would be, without a row."""
    return Release(**{name: getattr(champion, name) for name in _CARRIED} | changes)


def _reranker(cycle: Cycle, tried: Release, worker: str, on_progress: Progress) -> dict[str, Any]:
    """The last stage of the challenger, trained on what `tried` finds; none where dev found it of no use.

    A cycle does not end for want of it: its run says why there is none, and the champion's is carried over.
    """
    run = training_runs.prepare_reranker(cycle)
    try:
        run = training_runs.train(run, worker, on_progress, retrieve.plain(tried))
    except training_runs.CannotTrain:
        return {}
    if run.reranker is None:
        return {"reranker": None}
    return {"reranker": run.reranker} | {name: run.record[name] for name in ("rerank_depth", "rerank_share")}


def _build(cycle: Cycle, run: Run, champion: Release, worker: str, on_progress: Progress) -> IndexBuild:
    """A finished build with the run's encoder. A cycle taken up again finds the one it had begun."""
    encoder = run.encoder
    assert encoder is not None  # a retriever run that is done has one
    if encoder.pk == champion.build.encoder_id:
        return champion.build
    begun = IndexBuild.objects.filter(corpus=cycle.project.corpus, encoder=encoder, created_at__gte=cycle.created_at)
    build = begun.filter(retired_at=None).order_by("-number").first() or index_builds.request(
        cycle.project.corpus, encoder
    )
    while True:
        try:
            build = index_builds.build(build, worker=worker, on_progress=on_progress)
        except index_builds.CannotBuild as error:
            raise CannotBuild(message_of_error(error)) from error
        except index_builds.ClaimLost:  # its row says what happened
            build.refresh_from_db()
        if build.state == JobState.DONE:
            return build
        if build.state not in (JobState.QUEUED, JobState.RUNNING):
            raise CannotBuild(build.reason or message("build_cancelled", build=str(build)))
        on_progress(build.progress_done, build.progress_total, message("another_builds"))
        time.sleep(_LOOK_SECONDS)
        if IndexBuild.objects.stale().filter(pk=build.pk).exists():
            build.requeue(message("worker_silent"))


def _weight(cycle: Cycle, build: IndexBuild, default: float) -> float:
    """The dense share that ranks the judged queries of the dev split best; the champion's where it has none."""
    assert cycle.dataset is not None
    rows = [row for row in collect.rows(cycle.dataset, DEV) if relevance.has_relevant(row.grades.values())]
    if not rows:
        return default
    found = search.candidates(build, [row.text for row in rows])
    graded = [
        score_fusion.Graded(
            ids=one.ids,
            dense=one.dense,
            lexical=one.lexical,
            grades={int(passage_id): grade for passage_id, grade in row.grades.items()},
        )
        for row, one in zip(rows, found, strict=True)
    ]
    return score_fusion.learn_weight(graded, default)
