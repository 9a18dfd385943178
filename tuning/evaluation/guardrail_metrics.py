"""Metrics of champion and challenger on the guardrail sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from common import artifacts
from common.messages import StrOrMessage, message
from curation.models import Release
from curation.releases import lifecycle
from retrieval.engine.encoders.bi_encoder import TextEncoder
from retrieval.index import encoders
from tuning.engine.metrics import answer_metrics, ranking_metrics
from tuning.engine.metrics.significance import compare
from tuning.evaluation import guardrails
from tuning.evaluation.guardrail_files import Contents, read_contents
from tuning.models import Component, Evaluation

PREFIX, LOG_PROBABILITY = "guard:", "logprob"
MAX_TOKENS = 16
PROMPT = "Answer in a few words. {question}"  # not the release's prompt, which asks for a refusal without a passage

Progress = Callable[[int, int, StrOrMessage], None]
Values = dict[str, float]  # query_id → value
BothValues = tuple[Values, Values]  # of the champion, of the challenger


def measure_sets(evaluation: Evaluation, on_progress: Progress) -> dict[str, dict[str, Any]]:
    """Return "guard:<set> <measure>" → the comparison on each active set, for the components that were trained.

    A figure has the margin that the gate allows. is_informational: the gate does not use it. F1 is informational: a
    model that learned to be brief, or to refuse, changes it without having forgotten anything, whereas the
    log-probability of the correct answer does not depend on that.
    """
    trained = set(evaluation.cycle.runs.done().values_list("component", flat=True))
    figures: dict[str, dict[str, Any]] = {}
    for guardrail_set in guardrails.list_sets(evaluation.cycle.project):
        if not guardrail_set.is_active:
            continue
        folder = guardrails.set_folder(guardrail_set)
        artifacts.verify(folder, guardrail_set.sha256)
        measures = _measure(evaluation, trained, read_contents(folder), on_progress)
        for name, (before, after) in measures.items():
            if before:
                figure = asdict(compare(before, after, seed=evaluation.cycle.seed))
                extra = {"margin": guardrail_set.margin, "is_informational": name == "f1"}
                figures[f"{PREFIX}{guardrail_set.name} {name}"] = figure | extra
        on_progress(1, 1, message("guard_set", name=guardrail_set.name))
    return figures


def _measure(
    evaluation: Evaluation, trained: set[str], contents: Contents, on_progress: Progress
) -> dict[str, BothValues]:
    measures: dict[str, BothValues] = {}
    if Component.RETRIEVER in trained and contents.grades:
        measures["ndcg@10"] = _ndcg_of_both(evaluation, contents)
    if Component.GENERATOR in trained and contents.answers:
        measures |= _answer_measures(evaluation, contents, on_progress)
    return measures


def _ndcg_of_both(evaluation: Evaluation, contents: Contents) -> BothValues:
    """Return nDCG@10 of both encoders over the set's own passages."""
    champion, challenger = (release.build.encoder for release in (evaluation.champion, evaluation.challenger))
    before = _ndcg(encoders.load(champion), contents)
    return before, before if champion == challenger else _ndcg(encoders.load(challenger), contents)


def _ndcg(encoder: TextEncoder, contents: Contents) -> Values:
    query_ids, passage_ids = list(contents.grades), np.array(list(contents.passages))
    queries = encoder.encode_queries([contents.questions[query_id] for query_id in query_ids])  # (queries, dim)
    scores = queries @ encoder.encode_passages(list(contents.passages.values())).T  # (queries, passages)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    rankings = {query_id: passage_ids[best].tolist() for query_id, best in zip(query_ids, order, strict=True)}
    return ranking_metrics.evaluate(rankings, contents.grades, recall_at=(), mrr_at=(), judged_at=()).values("ndcg@10")


def _answer_measures(evaluation: Evaluation, contents: Contents, on_progress: Progress) -> dict[str, BothValues]:
    """Return the log-probability of the correct answers, where both can score, and F1 of both's own answers.

    The challenger is measured first: its weights are still loaded from the evaluation on the test split.
    """
    after = _closed_book_values(evaluation.challenger, contents, on_progress)
    before = _closed_book_values(evaluation.champion, contents, on_progress)
    return {name: (before[name], after[name]) for name in before if name in after}


def _closed_book_values(release: Release, contents: Contents, on_progress: Progress) -> dict[str, Values]:
    """Return the measures of the release's generator, which answers without a passage."""
    generator = lifecycle.load_generator(release)
    query_ids = list(contents.answers)
    prompts = [PROMPT.replace("{question}", contents.questions[query_id]) for query_id in query_ids]
    note = message("remembering", number=release.number)

    def report(done: int, total: int) -> None:
        on_progress(done, total, note)

    measures: dict[str, Values] = {}
    if generator.can_score:
        pairs = [(prompt, contents.answers[query_id][0]) for query_id, prompt in zip(query_ids, prompts, strict=True)]
        measures[LOG_PROBABILITY] = dict(zip(query_ids, map(float, generator.score(pairs, report)), strict=True))
    texts = generator.generate(prompts, MAX_TOKENS, report)
    measures["f1"] = {
        query_id: answer_metrics.f1(text, contents.answers[query_id])
        for query_id, text in zip(query_ids, texts, strict=True)
    }
    return measures
