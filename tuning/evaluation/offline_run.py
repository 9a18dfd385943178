"""Offline run: rankings and answers of a release, as it would serve them, without storing anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from common.messages import StrOrMessage, message
from curation.models import Release
from curation.releases import generate, retrieve
from retrieval.models import Passage
from retrieval.search.results import Hit
from tuning.engine.metrics import answer_metrics, ranking_metrics

Progress = Callable[[int, int, StrOrMessage], None]
PerQuery = dict[str, dict[str, float]]  # query_id → measure → value
Rankings = dict[str, list[Hit]]
Grades = Mapping[str, Mapping[str, float]]  # query_id → passage_id → grade

ANSWER_BATCH = 32


def rank(
    release: Release, texts: Mapping[str, str], depth: int, on_progress: Progress, mode: str = "hybrid"
) -> Rankings:
    """Return query_id → hits, best first, for query_id → text."""
    note = message("searching", number=release.number)
    rankings = retrieve.search_many(
        release, list(texts.values()), depth, mode, on_progress=lambda done, total: on_progress(done, total, note)
    )
    return dict(zip(texts, rankings, strict=True))


def generate_answers(
    release: Release,
    texts: Mapping[str, str],
    rankings: Rankings,
    on_progress: Progress,
    seconds: float | None = None,
) -> dict[str, str]:
    """Return query_id → the answer of the release's generator from the passages it ranked first.

    seconds: time limit; the answers are then the first ones in the order of `texts`, at least one batch.
    """
    note = message("answering", number=release.number)
    ids = list(texts)
    deadline = None if seconds is None else time.monotonic() + seconds
    answers: dict[str, str] = {}
    for start in range(0, len(ids), ANSWER_BATCH):
        batch = ids[start : start + ANSWER_BATCH]
        questions = _questions(release, {query_id: texts[query_id] for query_id in batch}, rankings)
        answers |= zip(batch, generate.write_answers(release, questions), strict=True)
        on_progress(len(answers), len(ids), note)
        if deadline is not None and time.monotonic() > deadline:
            break
    return answers


def _questions(release: Release, texts: Mapping[str, str], rankings: Rankings) -> list[generate.QuestionWithPassages]:
    """Return the questions with the texts and scores of the passages that the release answers from."""
    hits = {query_id: rankings[query_id][: release.answer_passages] for query_id in texts}
    passages = Passage.objects.in_bulk({hit.passage_id for query_hits in hits.values() for hit in query_hits})
    return [
        generate.QuestionWithPassages(
            text,
            [passages[hit.passage_id].full_text for hit in hits[query_id]],
            [hit.score for hit in hits[query_id]],
        )
        for query_id, text in texts.items()
    ]


def measure_answers(answers: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> PerQuery:
    """Return query_id → em, f1 and rougeL of the answer, for every query that has a reference."""
    return {
        query_id: {name: metric(answer, references[query_id]) for name, metric in answer_metrics.METRICS.items()}
        for query_id, answer in answers.items()
        if references.get(query_id)
    }


def measure_rankings(rankings: Rankings, grades: Grades) -> ranking_metrics.RankingMetrics:
    """Return nDCG, recall, reciprocal rank and the judged share of rankings of passages."""
    return ranking_metrics.evaluate(
        {query_id: [str(hit.passage_id) for hit in hits] for query_id, hits in rankings.items()}, grades
    )
