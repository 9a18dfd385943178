"""Evaluation of champion and challenger on the same held-out queries: their rankings and their answers.

Both are searched as they would serve. Answers are generated for a sample only, the same one for both, as large as the
time allows. Queries without a relevant passage are counted, not silently dropped.
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
from retrieval.index import encoders
from tuning.datasets import collect
from tuning.engine.data import clusters
from tuning.engine.data.examples import TEST, TRAIN, JudgedQuery
from tuning.engine.metrics import answer_metrics
from tuning.engine.metrics import slices as test_slices
from tuning.engine.metrics.significance import compare
from tuning.evaluation import guardrail_metrics, offline_run, preference_votes, reranker_tradeoff
from tuning.evaluation.offline_run import PerQuery, Rankings
from tuning.models import Component, Cycle, Evaluation

DEPTH = 20
ANSWER_SECONDS = 180.0  # for the champion's answers; the challenger's to the same queries take about as long
MAX_ANSWERS = 200
SLICED_MEASURES = ("ndcg@10", "f1")  # measures that are reported for slices of the test split too
RETRIEVAL_FIELDS = ("build_id", "fusion_weight", "reranker_id", "rerank_depth", "rerank_share")
MIN_SLICE_QUERIES = 5  # an interval over fewer queries says nothing
LEAK_TOLERANCE = 0.001  # two batches need not give the same last digit of a cosine

Progress = Callable[[int, int, StrOrMessage], None]
Figures = dict[str, dict[str, Any]]  # measure → the comparison, as `Comparison` has it
BothValues = tuple[PerQuery, PerQuery]  # of the champion, of the challenger
BothAnswers = tuple[dict[str, str], dict[str, str]]  # query_id → answer; of the champion, of the challenger


class EvaluationError(Exception):
    """The evaluation was claimed by another worker, or there is nothing to measure."""


def get_or_create_evaluation(cycle: Cycle) -> Evaluation:
    """Return the cycle's evaluation. The first call creates it, against the release that is live then."""
    assert cycle.dataset is not None and cycle.challenger is not None  # the steps before made them
    evaluation, _is_new = Evaluation.objects.get_or_create(
        cycle=cycle,
        defaults={
            "dataset": cycle.dataset,
            "champion": lifecycle.live_release(cycle.project),
            "challenger": cycle.challenger,
        },
    )
    return evaluation


def evaluate(evaluation: Evaluation, worker: str, on_progress: Progress) -> Evaluation:
    """Measure champion and challenger, and store the figures; do nothing when it was done before.

    Raises EvaluationError.
    """
    if evaluation.state == JobState.DONE:
        return evaluation
    if not evaluation.claim(worker):
        raise EvaluationError(message("is_in_state", what=message("evaluation"), state=evaluation.state))
    try:
        with Heartbeat(evaluation):
            _measure(evaluation, on_progress)
    except EvaluationError as error:
        evaluation.fail(message_of_error(error))
        raise
    with transaction.atomic():  # a challenger that lost its reranker has figures that say why
        evaluation.challenger.save(update_fields=["reranker"])
        evaluation.save(update_fields=["measures", "per_query", "reranking"])
    evaluation.finish()
    return evaluation


def _measure(evaluation: Evaluation, on_progress: Progress) -> None:
    rows = collect.read_rows(evaluation.dataset)
    test = [row for row in rows if row.split == TEST]
    if not test:
        raise EvaluationError(message("test_empty"))
    cosines = _nearest_training_cosines(evaluation, rows)
    _check_leaks(test, rows, cosines)
    rankings = _rankings(evaluation, test, on_progress)
    figures, values = _ranking_figures(evaluation, test, rankings)
    answers: BothAnswers = ({}, {})
    if evaluation.cycle.runs.done().filter(component=Component.GENERATOR).exists():
        answers = _generate_answers(evaluation, test, rankings, on_progress)
        answer_values = _answer_values(evaluation, test, answers)
        figures |= _compare_measures(answer_values, evaluation.cycle.seed)
        figures |= _refusal_figures(evaluation, answers, test)
        values = (_merge(values[0], answer_values[0]), _merge(values[1], answer_values[1]))
    figures |= _slice_figures(values, test_slices.slice_test_split(rows, cosines), evaluation.cycle.seed)
    figures |= guardrail_metrics.measure_sets(evaluation, on_progress)
    evaluation.measures = figures
    evaluation.per_query = _value_pairs(values)
    preference_votes.save_pairs(evaluation, rankings, answers)


def _rankings(evaluation: Evaluation, test: list[JudgedQuery], on_progress: Progress) -> tuple[Rankings, Rankings]:
    """Return the rankings of both releases for the test queries; searched once where both retrieve alike.

    The trade-off of the challenger's reranker is measured first; a reranker that does not pay is removed.
    """
    texts = {row.query_id: row.text for row in test}
    champion, challenger = evaluation.champion, evaluation.challenger
    before = offline_run.rank(champion, texts, DEPTH, on_progress)
    if all(getattr(champion, name) == getattr(challenger, name) for name in RETRIEVAL_FIELDS):
        return before, before
    after = offline_run.rank(challenger, texts, DEPTH, on_progress)
    if challenger.reranker is None:
        return before, after
    without = offline_run.rank(retrieve.without_reranker(challenger), texts, DEPTH, on_progress)
    grades = {row.query_id: row.grades for row in test if row.grades}
    evaluation.reranking = reranker_tradeoff.measure_tradeoff(evaluation, texts, grades, (without, after))
    if evaluation.reranking["is_kept"]:
        return before, after
    challenger.reranker = None
    return before, without


def _ranking_figures(
    evaluation: Evaluation, test: list[JudgedQuery], rankings: tuple[Rankings, Rankings]
) -> tuple[Figures, BothValues]:
    """Return the comparison of each ranking measure, and the values per query."""
    grades = {row.query_id: row.grades for row in test if row.grades}
    before, after = (offline_run.measure_rankings(ranking, grades) for ranking in rankings)
    values: BothValues = (before.per_query, after.per_query)
    figures = _compare_measures(values, evaluation.cycle.seed)
    if "ndcg@10" in figures:
        figures["ndcg@10"]["without_relevant"] = len(before.without_relevant)
    return figures, values


def _references(evaluation: Evaluation, test: list[JudgedQuery]) -> dict[str, list[str]]:
    """Return query_id → correct answers; for an unanswerable query the refusal."""
    refusal = evaluation.champion.refusal
    return {row.query_id: [row.answer or refusal] for row in test if row.answer or row.is_unanswerable}


def _generate_answers(
    evaluation: Evaluation, test: list[JudgedQuery], rankings: tuple[Rankings, Rankings], on_progress: Progress
) -> BothAnswers:
    """Return the answers of both releases to one random sample of the queries that have a correct answer."""
    references = _references(evaluation, test)
    sample = sorted(references, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())[:MAX_ANSWERS]
    text_of = {row.query_id: row.text for row in test}
    texts = {query_id: text_of[query_id] for query_id in sample}
    seconds = float(evaluation.cycle.settings.get("answer_seconds", ANSWER_SECONDS))
    before = offline_run.generate_answers(evaluation.champion, texts, rankings[0], on_progress, seconds)
    texts = {query_id: texts[query_id] for query_id in before}
    return before, offline_run.generate_answers(evaluation.challenger, texts, rankings[1], on_progress)


def _answer_values(evaluation: Evaluation, test: list[JudgedQuery], answers: BothAnswers) -> BothValues:
    """Return em, f1 and rougeL of the answers of both releases."""
    references = _references(evaluation, test)
    return offline_run.measure_answers(answers[0], references), offline_run.measure_answers(answers[1], references)


def _refusal_figures(evaluation: Evaluation, answers: BothAnswers, test: list[JudgedQuery]) -> Figures:
    """Return precision and recall of the refusals of both; a measure that neither release has is left out.

    There is no interval: the two precisions divide by different counts.
    """
    unanswerable = {row.query_id for row in test if row.is_unanswerable}
    releases = (evaluation.champion, evaluation.challenger)
    sides = [
        answer_metrics.count_refusals(side, unanswerable, release.refusal)
        for side, release in zip(answers, releases, strict=True)
    ]
    figures: Figures = {}
    for name in ("precision", "recall"):
        before, after = (getattr(side, name) for side in sides)
        if before is not None or after is not None:
            figures[f"refusal-{name}"] = {
                "champion": before,
                "challenger": after,
                "difference": after - before if before is not None and after is not None else None,
                "low": None,
                "high": None,
                "p": None,
                "queries": sides[0].unanswerable if name == "recall" else max(side.refused for side in sides),
            }
    return figures


def _nearest_training_cosines(evaluation: Evaluation, rows: list[JudgedQuery]) -> dict[str, float]:
    """Return test query → cosine to the nearest training query, by the untuned encoder."""
    encoder = encoders.load(query_vectors.first_encoder(evaluation.cycle.project))
    test, train = ([row for row in rows if row.split == split] for split in (TEST, TRAIN))
    vectors = [encoder.encode_queries([row.text for row in split_rows]) for split_rows in (test, train)]
    return dict(zip([row.query_id for row in test], test_slices.nearest_cosines(*vectors), strict=True))


def _check_leaks(test: list[JudgedQuery], rows: list[JudgedQuery], cosines: dict[str, float]) -> None:
    """Raise EvaluationError when a test query, or a paraphrase of it, is among the training queries.

    The split keeps paraphrases together; this checks the result.
    """
    training_texts = {clusters.normalise(row.text) for row in rows if row.split == TRAIN}
    for row in test:
        is_paraphrase = cosines[row.query_id] >= clusters.PARAPHRASE_COSINE + LEAK_TOLERANCE
        if is_paraphrase or clusters.normalise(row.text) in training_texts:
            raise EvaluationError(message("test_leaks", text=row.text[:120]))


def _slice_figures(values: BothValues, slices: test_slices.Slices, seed: int) -> Figures:
    """Compare the SLICED_MEASURES on each slice of the test split that has MIN_SLICE_QUERIES measured queries.

    A slice that has every measured query is left out. Tuning on a fixed corpus partly memorises its passages: the
    slice "unseen" is the figure that generalises to other passages.
    """
    figures: Figures = {}
    for measure in SLICED_MEASURES:
        measured = {query_id for query_id, measures in values[0].items() if measure in measures}
        for name, query_ids in slices.items():
            ids = measured & query_ids
            if MIN_SLICE_QUERIES <= len(ids) < len(measured):
                sides = [{query_id: {measure: side[query_id][measure]} for query_id in ids} for side in values]
                figures[f"{measure} {name}"] = _compare_measures((sides[0], sides[1]), seed)[measure]
    return figures


def _compare_measures(values: BothValues, seed: int) -> Figures:
    """Return measure → the comparison as a dictionary; empty when no query was measured."""
    before, after = values
    names = next(iter(before.values()), {})
    return {name: asdict(compare(_column(before, name), _column(after, name), seed=seed)) for name in names}


def _column(values: PerQuery, measure: str) -> dict[str, float]:
    return {query_id: measures[measure] for query_id, measures in values.items()}


def _merge(values: PerQuery, more: PerQuery) -> PerQuery:
    return {query_id: values.get(query_id, {}) | more.get(query_id, {}) for query_id in values.keys() | more.keys()}


def _value_pairs(values: BothValues) -> dict[str, dict[str, list[float]]]:
    """Return query → measure → [value of the champion, value of the challenger]."""
    before, after = values
    return {
        query_id: {name: [value, after[query_id][name]] for name, value in sorted(before[query_id].items())}
        for query_id in sorted(before, key=int)
    }
