"""Candidate release of a cycle: a new index build for a new encoder, a fusion weight, a reranker, a generator."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from common.heartbeat import ClaimLost
from common.jobs import JobState
from common.messages import StrOrMessage, message, message_of_error
from curation.engine.statistics import relevance
from curation.models import Project, Release
from curation.releases import lifecycle, retrieve
from retrieval.engine.indexes import score_fusion
from retrieval.index import garbage_collection, index_builds
from retrieval.models import Encoder, IndexBuild
from retrieval.search import search
from tuning.datasets import collect
from tuning.engine.data.examples import DEV
from tuning.models import Component, Cycle, Run
from tuning.promotion import answer_mode
from tuning.training import training_runs

ROLLBACK_RELEASES = 2  # releases before the live one whose builds are kept for a rollback
_POLL_SECONDS = 1.0
_CARRIED_FIELDS = (
    *("project", "number", "prompt", "refusal", "answer_passages", "answer_mode"),
    *("generator", "reranker", "rerank_depth", "rerank_share"),
)

Progress = Callable[[int, int, StrOrMessage], None]


class CandidateError(Exception):
    """The candidate's index could not be built; the message is the build's reason."""


def get_or_create_candidate(cycle: Cycle, worker: str, on_progress: Progress) -> Release:
    """Return the cycle's candidate release, made of what the cycle trained. The first call creates it.

    Builds the index first where that was not done, and trains the reranker where the cycle asks for one. Raises
    CandidateError.
    """
    if cycle.challenger is not None:
        return cycle.challenger
    champion = lifecycle.live_release(cycle.project)
    runs = _done_runs(cycle)
    build, weight = build_index(cycle, worker, on_progress), champion.fusion_weight
    if Component.RETRIEVER in runs:
        weight = _learn_fusion_weight(cycle, build, weight)
    changes: dict[str, Any] = {"build": build, "fusion_weight": weight}
    if trains_reranker(cycle):
        changes |= _train_reranker(cycle, _unsaved_candidate(champion, changes), worker, on_progress)
    if Component.GENERATOR in runs:
        changes["generator"] = runs[Component.GENERATOR].generator
        unsaved = _unsaved_candidate(champion, changes)
        changes["answer_mode"] = answer_mode.choose_answer_mode(runs[Component.GENERATOR], unsaved, on_progress)
    return lifecycle.create_candidate(cycle.project, **changes)


def trains_reranker(cycle: Cycle) -> bool:
    """Whether the cycle trains a reranker: its settings ask for one, and it has trained a retriever."""
    return training_runs.is_reranker_enabled(cycle.settings) and Component.RETRIEVER in _done_runs(cycle)


def build_index(cycle: Cycle, worker: str, on_progress: Progress) -> IndexBuild:
    """Return a finished build with the encoder that the cycle trained; the live release's build without a new encoder.

    A cycle that resumes continues the build that it had started. Raises CandidateError.
    """
    champion = lifecycle.live_release(cycle.project)
    run = _done_runs(cycle).get(Component.RETRIEVER)
    if run is None:
        return champion.build
    encoder = run.encoder
    assert encoder is not None  # a retriever run that is done has one
    if encoder.pk == champion.build.encoder_id:
        return champion.build
    return _finish_build(_get_or_create_build(cycle, encoder), worker, on_progress)


def retire_old_builds(project: Project) -> list[IndexBuild]:
    """Delete the files of builds that no release needs, and return these builds.

    Kept are the builds of the live release, of the candidates, of the ROLLBACK_RELEASES before the live one, and of
    the first release: every later release can still be compared with it.
    """
    projects = Project.objects.filter(corpus=project.corpus)
    needed_ids = {build_id for sharing in projects for build_id in _needed_builds(sharing)}
    old = IndexBuild.objects.searchable().filter(releases__project=project).exclude(pk__in=needed_ids).distinct()
    retired = list(old)
    for build in retired:
        garbage_collection.retire(build)
    return retired


def _done_runs(cycle: Cycle) -> dict[Component, Run]:
    return {Component(run.component): run for run in cycle.runs.done()}


def _needed_builds(project: Project) -> set[int]:
    releases = {release.pk: release for release in project.releases.all()}
    needed_ids = {release.build_id for release in releases.values() if release.state == Release.State.CANDIDATE}
    needed_ids |= {min(releases.values(), key=lambda release: release.number).build_id} if releases else set()
    release = next((release for release in releases.values() if release.state == Release.State.LIVE), None)
    for _step in range(ROLLBACK_RELEASES + 1):
        if release is None:
            break
        needed_ids.add(release.build_id)
        release = releases.get(release.previous_id or 0)
    return needed_ids


def _unsaved_candidate(champion: Release, changes: dict[str, Any]) -> Release:
    """Return the candidate as it would be, without a row."""
    return Release(**{name: getattr(champion, name) for name in _CARRIED_FIELDS} | changes)


def _train_reranker(cycle: Cycle, unsaved: Release, worker: str, on_progress: Progress) -> dict[str, Any]:
    """Train the candidate's reranker on its rankings, and return the fields of the release.

    Without a reranker where dev is better without. A failed training does not fail the cycle: the run has the
    reason, and the live release's reranker is carried over.
    """
    run = training_runs.get_or_create_reranker_run(cycle)
    try:
        run = training_runs.train(run, worker, on_progress, retrieve.without_reranker(unsaved))
    except training_runs.RunError:
        return {}
    if run.reranker is None:
        return {"reranker": None}
    return {"reranker": run.reranker} | {name: run.record[name] for name in ("rerank_depth", "rerank_share")}


def _get_or_create_build(cycle: Cycle, encoder: Encoder) -> IndexBuild:
    corpus = cycle.project.corpus
    builds = IndexBuild.objects.filter(corpus=corpus, encoder=encoder, created_at__gte=cycle.created_at)
    return builds.filter(retired_at=None).order_by("-number").first() or index_builds.request(corpus, encoder)


def _finish_build(build: IndexBuild, worker: str, on_progress: Progress) -> IndexBuild:
    """Do the build, or wait for the worker that does it. Raises CandidateError."""
    while True:
        try:
            build = index_builds.build(build, worker=worker, on_progress=on_progress)
        except index_builds.BuildError as error:
            raise CandidateError(message_of_error(error)) from error
        except ClaimLost:  # the row has the reason
            build.refresh_from_db()
        if build.state == JobState.DONE:
            return build
        if build.state not in (JobState.QUEUED, JobState.RUNNING):
            raise CandidateError(build.reason or message("build_cancelled", build=str(build)))
        on_progress(build.progress_done, build.progress_total, message("another_builds"))
        time.sleep(_POLL_SECONDS)
        if IndexBuild.objects.stale().filter(pk=build.pk).exists():
            build.requeue(message("worker_silent"))


def _learn_fusion_weight(cycle: Cycle, build: IndexBuild, default: float) -> float:
    """Return the dense weight with the best ranking of the dev queries; `default` without a judged dev query."""
    assert cycle.dataset is not None
    rows = [row for row in collect.read_rows(cycle.dataset, DEV) if relevance.has_relevant(row.grades.values())]
    if not rows:
        return default
    candidates = search.candidates(build, [row.text for row in rows])
    queries = [
        score_fusion.GradedQuery(
            ids=scored.ids,
            dense=scored.dense,
            lexical=scored.lexical,
            grades={int(passage_id): grade for passage_id, grade in row.grades.items()},
        )
        for row, scored in zip(rows, candidates, strict=True)
    ]
    return score_fusion.learn_weight(queries, default)
