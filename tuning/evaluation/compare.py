"""Champion and challenger on the same held-out queries: what they retrieve, and what they answer.

Both are searched as they would serve. Answers are written for a sample only, the same one for both, as large as
the time allows; queries without a relevant passage are counted, not dropped in silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.db import transaction

from common.heartbeat import Heartbeat
from common.jobs import JobState
from common.messages import StrOrMessage, message, message_of_error
from curation.queries import query_vectors
from curation.releases import lifecycle, retrieve
from tuning.datasets import collect
from tuning.engine.data import clusters
from tuning.engine.data.examples import TEST, TRAIN, JudgedQuery
from tuning.engine.metrics import answer_metrics
from tuning.engine.metrics import slices as slicing
from tuning.engine.metrics.significance import compare
from tuning.evaluation import guardrails, offline_run, preference_votes, reranker_tradeoff
from tuning.evaluation.offline_run import PerQuery, Rankings
from tuning.models import Component, Cycle, Evaluation

DEPTH = 20
ANSWER_SECONDS = 180.0  # for the champion's answers; the challenger's to the same queries take about as long
MOST_ANSWERS = 200
APART = ("ndcg@10", "f1")  # the measures that are reported of parts of the split too
RETRIEVED_BY = ("build_id", "fusion_weight", "reranker_id", "rerank_depth", "rerank_share")
LEAST_APART = 5  # queries of a slice: an interval of fewer says nothing

Progress = Callable[[int, int, StrOrMessage], None]
Pair = tuple[PerQuery, PerQuery]  # champion's, challenger's
Written = tuple[dict[str, str], dict[str, str]]  # query_id → answer, likewise


class CannotMeasure(Exception):
    """The evaluation is not this worker's, or there is nothing to measure on."""


def prepare(cycle: Cycle) -> Evaluation:
    """The cycle's evaluation; made at the first call, against the release that serves then."""
    assert cycle.dataset is not None and cycle.challenger is not None  # the steps before made them
    evaluation, _made = Evaluation.objects.get_or_create(
        cycle=cycle,
        defaults={
            "dataset": cycle.dataset,
            "champion": lifecycle.serving(cycle.project),
            "challenger": cycle.challenger,
        },
    )
    return evaluation


def evaluate(evaluation: Evaluation, worker: str, on_progress: Progress) -> Evaluation:
    """The evaluation with its measures; as it is when it was finished before. Raises CannotMeasure."""
    if evaluation.state == JobState.DONE:
        return evaluation
    if not evaluation.claim(worker):
        raise CannotMeasure(message("is_in_state", what=message("evaluation"), state=evaluation.state))
    try:
        with Heartbeat(evaluation):
            _measure(evaluation, on_progress)
    except CannotMeasure as error:
        evaluation.fail(message_of_error(error))
        raise
    with transaction.atomic():  # a challenger without its reranker has numbers that say why
        evaluation.challenger.save(update_fields=["reranker"])
        evaluation.save(update_fields=["measures", "per_query", "reranking"])
    evaluation.finish()
    return evaluation


def _measure(evaluation: Evaluation, on_progress: Progress) -> None:
    rows = collect.rows(evaluation.dataset)
    test = [row for row in rows if row.split == TEST]
    if not test:
        raise CannotMeasure(message("test_empty"))
    nearness = _nearness(evaluation, rows)
    _check_leaks(test, rows, nearness)
    rankings = _rankings(evaluation, test, on_progress)
    judged = {row.query_id: row.grades for row in test if row.grades}
    before, after = (offline_run.measure_rankings(ranked, judged) for ranked in rankings)
    found: Pair = (before.per_query, after.per_query)
    figures = _compared(found, evaluation.cycle.seed)
    written: Written = ({}, {})
    if "ndcg@10" in figures:
        figures["ndcg@10"]["without_relevant"] = len(before.without_relevant)
    if evaluation.cycle.runs.done().filter(component=Component.GENERATOR).exists():
        written = _written(evaluation, test, rankings, on_progress)
        answered = _answered(evaluation, test, written)
        figures |= _compared(answered, evaluation.cycle.seed) | _refused(evaluation, written, test)
        found = (_merged(found[0], answered[0]), _merged(found[1], answered[1]))
    figures |= _apart(found, slicing.slices(rows, nearness), evaluation.cycle.seed)
    figures |= guardrails.measure(evaluation, on_progress)
    evaluation.measures = figures
    evaluation.per_query = _paired(found)
    preference_votes.keep(evaluation, rankings, written)


def _rankings(evaluation: Evaluation, test: list[JudgedQuery], on_progress: Progress) -> tuple[Rankings, Rankings]:
    """What each of the two retrieves for the test queries; once, where both retrieve alike.

    A challenger's reranker is weighed first, and taken away where it does not pay.
    """
    texts = {row.query_id: row.text for row in test}
    champion, challenger = evaluation.champion, evaluation.challenger
    before = offline_run.rank(champion, texts, DEPTH, on_progress)
    if all(getattr(champion, name) == getattr(challenger, name) for name in RETRIEVED_BY):
        return before, before
    after = offline_run.rank(challenger, texts, DEPTH, on_progress)
    if challenger.reranker is None:
        return before, after
    without = offline_run.rank(retrieve.plain(challenger), texts, DEPTH, on_progress)
    judged = {row.query_id: row.grades for row in test if row.grades}
    evaluation.reranking = reranker_tradeoff.weigh(evaluation, texts, judged, (without, after))
    if evaluation.reranking["is_kept"]:
        return before, after
    challenger.reranker = None
    return before, without


def _references(evaluation: Evaluation, test: list[JudgedQuery]) -> dict[str, list[str]]:
    """query_id → right answers; that to an unanswerable query is the refusal."""
    refusal = evaluation.champion.refusal
    return {row.query_id: [row.answer or refusal] for row in test if row.answer or row.is_unanswerable}


def _written(
    evaluation: Evaluation, test: list[JudgedQuery], rankings: tuple[Rankings, Rankings], on_progress: Progress
) -> Written:
    """What both answer to one random sample of the queries that have a right answer."""
    known = _references(evaluation, test)
    sample = sorted(known, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())[:MOST_ANSWERS]
    text_of = {row.query_id: row.text for row in test}
    texts = {query_id: text_of[query_id] for query_id in sample}
    seconds = float(evaluation.cycle.settings.get("answer_seconds", ANSWER_SECONDS))
    before = offline_run.write(evaluation.champion, texts, rankings[0], on_progress, seconds)
    texts = {query_id: texts[query_id] for query_id in before}
    return before, offline_run.write(evaluation.challenger, texts, rankings[1], on_progress)


def _answered(evaluation: Evaluation, test: list[JudgedQuery], written: Written) -> Pair:
    """em, f1 and rougeL of what both wrote."""
    references = _references(evaluation, test)
    return offline_run.measure_answers(written[0], references), offline_run.measure_answers(written[1], references)


def _refused(evaluation: Evaluation, written: Written, test: list[JudgedQuery]) -> dict[str, dict[str, Any]]:
    """How the refusals of both fall: their precision and recall; without an interval, as the two divide by
    different counts. Left out where neither has one.
    """
    unanswerable = {row.query_id for row in test if row.is_unanswerable}
    releases = (evaluation.champion, evaluation.challenger)
    sides = [
        answer_metrics.refusals(said, unanswerable, one.refusal) for said, one in zip(written, releases, strict=True)
    ]
    figures: dict[str, dict[str, Any]] = {}
    for name in ("precision", "recall"):
        before, after = (getattr(side, name) for side in sides)
        if before is not None or after is not None:
            known = before is not None and after is not None
            figures[f"refusal-{name}"] = {
                "champion": before,
                "challenger": after,
                "difference": after - before if known else None,
                "low": None,
                "high": None,
                "p": None,
                "queries": sides[0].unanswerable if name == "recall" else max(side.refused for side in sides),
            }
    return figures


def _nearness(evaluation: Evaluation, rows: list[JudgedQuery]) -> dict[str, float]:
    """Test query → cosine to the nearest training question, as the untuned encoder sees them."""
    encoder = collect.open_encoder(query_vectors.first_encoder(evaluation.cycle.project))
    test, train = ([row for row in rows if row.split == split] for split in (TEST, TRAIN))
    vectors = [encoder.encode_queries([row.text for row in some]) for some in (test, train)]
    return dict(zip([row.query_id for row in test], slicing.nearness(*vectors), strict=True))


def _check_leaks(test: list[JudgedQuery], rows: list[JudgedQuery], nearness: dict[str, float]) -> None:
    """Raises CannotMeasure when a test question, or a paraphrase of it, is among the training questions.

    Collecting keeps paraphrases together; this looks at what really came of it. A hair above its threshold, as
    two batches need not give the same last digit.
    """
    taught = {clusters.normalised(row.text) for row in rows if row.split == TRAIN}
    for row in test:
        if nearness[row.query_id] >= clusters.SAME_FROM + 0.001 or clusters.normalised(row.text) in taught:
            raise CannotMeasure(message("test_leaks", text=row.text[:120]))


def _apart(found: Pair, parts: slicing.Slices, seed: int) -> dict[str, dict[str, Any]]:
    """The measures in APART of each part of the test split with LEAST_APART queries measured.

    Tuning on a fixed corpus partly memorises its passages: of all figures "unseen" is the one that travels.
    """
    figures: dict[str, dict[str, Any]] = {}
    for measure in APART:
        measured = {query for query, values in found[0].items() if measure in values}
        for name, ids in parts.items():
            part = measured & ids
            if LEAST_APART <= len(part) < len(measured):
                sides = [{query: {measure: side[query][measure]} for query in part} for side in found]
                figures[f"{measure} {name}"] = _compared((sides[0], sides[1]), seed)[measure]
    return figures


def _compared(found: Pair, seed: int) -> dict[str, dict[str, Any]]:
    """measure → the comparison as a dictionary; empty when no query was measured."""
    before, after = found
    names = next(iter(before.values()), {})
    return {name: asdict(compare(_of(before, name), _of(after, name), seed=seed)) for name in names}


def _of(values: PerQuery, name: str) -> dict[str, float]:
    return {query_id: measured[name] for query_id, measured in values.items()}


def _merged(one: PerQuery, other: PerQuery) -> PerQuery:
    return {query_id: one.get(query_id, {}) | other.get(query_id, {}) for query_id in one.keys() | other.keys()}


def _paired(found: Pair) -> dict[str, dict[str, list[float]]]:
    before, after = found
    return {
        query_id: {name: [value, after[query_id][name]] for name, value in sorted(before[query_id].items())}
        for query_id in sorted(before, key=int)
    }
