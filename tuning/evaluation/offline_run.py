"""Try a release on queries as it would serve them, without leaving a trace: rankings and answers."""

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

ANSWERS_AT_ONCE = 32


def rank(
    release: Release, texts: Mapping[str, str], depth: int, on_progress: Progress, mode: str = "hybrid"
) -> Rankings:
    """query_id → hits, best first, for query_id → text."""
    note = message("searching", number=release.number)
    found = retrieve.search_many(
        release, list(texts.values()), depth, mode, on_progress=lambda done, total: on_progress(done, total, note)
    )
    return dict(zip(texts, found, strict=True))


def write(
    release: Release,
    texts: Mapping[str, str],
    rankings: Rankings,
    on_progress: Progress,
    seconds: float | None = None,
) -> dict[str, str]:
    """query_id → the answer the release's generator gives from the passages it ranked first.

    With `seconds`, as many as that time allows, in the order of `texts`; at least one batch.
    """
    note = message("answering", number=release.number)
    ids = list(texts)
    limit = None if seconds is None else time.monotonic() + seconds
    written: dict[str, str] = {}
    for start in range(0, len(ids), ANSWERS_AT_ONCE):
        batch = ids[start : start + ANSWERS_AT_ONCE]
        used = {query_id: rankings[query_id][: release.answer_passages] for query_id in batch}
        passages = Passage.objects.in_bulk({hit.passage_id for hits in used.values() for hit in hits})
        questions = [
            generate.Question(
                texts[query_id],
                [passages[hit.passage_id].full_text for hit in used[query_id]],
                [hit.score for hit in used[query_id]],
            )
            for query_id in batch
        ]
        written |= zip(batch, generate.write(release, questions), strict=True)
        on_progress(len(written), len(ids), note)
        if limit is not None and time.monotonic() > limit:
            break
    return written


def measure_answers(written: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> PerQuery:
    """query_id → em and f1 of the answer, for every query that has a reference."""
    return {
        query_id: {name: count(answer, references[query_id]) for name, count in answer_metrics.MEASURES.items()}
        for query_id, answer in written.items()
        if references.get(query_id)
    }


def measure_rankings(rankings: Rankings, grades: Grades) -> ranking_metrics.RankingMetrics:
    """nDCG, recall, reciprocal rank and the judged share of rankings of passages."""
    return ranking_metrics.evaluate(
        {query_id: [str(hit.passage_id) for hit in hits] for query_id, hits in rankings.items()}, grades
    )
