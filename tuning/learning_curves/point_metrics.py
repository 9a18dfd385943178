"""Metric of one point of a learning curve: nDCG@10 of a trained retriever, F1 of a trained generator.

A retriever is measured over a pool of passages: those judged for the test queries, and those that the live release
ranks high for them. To embed the whole corpus for every point would cost more than the trainings. So the values of
one curve can be compared with each other only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.data_dir import stored_path
from common.messages import StrOrMessage, message
from curation.models import Generator, Release
from curation.releases import lifecycle
from retrieval.engine.encoders.bi_encoder import TextEncoder
from retrieval.index import encoders
from retrieval.models import Passage
from tuning.engine.data.examples import TEST, JudgedQuery
from tuning.engine.metrics import ranking_metrics
from tuning.evaluation import offline_run
from tuning.models import Component, LearningCurve, Run
from tuning.training import training_runs

ANSWER_SECONDS = 60.0
POOL_SIZE = 1500
DEPTH = 30
MEASURES = {Component.RETRIEVER.value: "ndcg@10", Component.GENERATOR.value: "f1"}

Progress = Callable[[int, int, StrOrMessage], None]
Values = dict[str, float]  # query_id → value
PointMetric = Callable[[dict[str, Any] | None], Values]  # a training's result (None: the untuned component) → values


def retriever_metric(run: Run, rows: list[JudgedQuery], on_progress: Progress) -> PointMetric:
    """Return a function from a training's result to nDCG@10 of each test query over the pool."""
    parent = run.parent_encoder
    assert parent is not None  # the caller gives a retriever's run one
    test = [row for row in rows if row.split == TEST and row.grades]
    grades = {row.query_id: row.grades for row in test}
    pool = _passage_pool(lifecycle.live_release(run.cycle.project), test, on_progress)
    passages = Passage.objects.in_bulk([int(passage_id) for passage_id in pool])
    texts = [passages[int(passage_id)].full_text for passage_id in pool]

    def measure(result: dict[str, Any] | None) -> Values:
        query_path, passage_path = map(str, encoders.weight_folders(parent))
        if result:
            query_path, passage_path = result["query_path"], result["passage_path"]
        encoder = TextEncoder(query_path, passage_path, parent.query_prefix, parent.passage_prefix)
        vectors = encoder.encode_passages(texts, lambda done, total: on_progress(done, total, message("measuring")))
        scores = encoder.encode_queries([row.text for row in test]) @ vectors.T  # (test queries, pool)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        rankings = {row.query_id: [pool[index] for index in best] for row, best in zip(test, order, strict=True)}
        metrics = ranking_metrics.evaluate(rankings, grades, recall_at=(), mrr_at=(), judged_at=())
        return metrics.values(MEASURES[Component.RETRIEVER])

    return measure


def generator_metric(curve: LearningCurve, rows: list[JudgedQuery], on_progress: Progress) -> PointMetric:
    """Return a function from a training's result to F1 of each answered test query.

    The untuned generator answers as many queries as the time limit allows. Every point is measured on these.
    """
    release = lifecycle.live_release(curve.project)
    test = [row for row in rows if row.split == TEST]
    references = {row.query_id: [row.answer or release.refusal] for row in test if row.answer or row.is_unanswerable}
    texts = {row.query_id: row.text for row in test if row.query_id in references}
    rankings = offline_run.rank(release, texts, release.answer_passages, on_progress)
    base = training_runs.untuned_generator(release.generator)
    measured = next((point["per_query"] for point in curve.points), None)
    sample = {query_id: texts[query_id] for query_id in texts if measured is None or query_id in measured}
    seconds = float(curve.settings.get("answer_seconds", ANSWER_SECONDS))

    def measure(result: dict[str, Any] | None) -> Values:
        nonlocal sample
        candidate = copy.copy(release)
        candidate.generator = base if result is None else _with_adapter(base, result)
        limit = seconds if result is None else None
        answers = offline_run.generate_answers(candidate, sample, rankings, on_progress, limit)
        sample = {query_id: sample[query_id] for query_id in answers}
        values = offline_run.measure_answers(answers, references)
        return {query_id: measures[MEASURES[Component.GENERATOR]] for query_id, measures in values.items()}

    return measure


def _passage_pool(release: Release, test: list[JudgedQuery], on_progress: Progress) -> list[str]:
    """Return the ids of the passages judged for the test queries, then of those ranked high for them."""
    pool = dict.fromkeys(passage_id for row in test for passage_id in row.grades)
    rankings = offline_run.rank(release, {row.query_id: row.text for row in test}, DEPTH, on_progress)
    for index in range(DEPTH):
        for hits in rankings.values():
            if index < len(hits) and len(pool) < POOL_SIZE:
                pool.setdefault(str(hits[index].passage_id))
    existing = Passage.objects.filter(pk__in=[int(passage_id) for passage_id in pool]).values_list("pk", flat=True)
    return [str(pk) for pk in sorted(existing)]


def _with_adapter(base: Generator, result: dict[str, Any]) -> Generator:
    """Return the base with a training's adapter, without a row."""
    path = stored_path(Path(result["adapter_path"]))
    return Generator(name=base.name, base_path=base.base_path, adapter_path=path, sha256=result["adapter_hash"])
