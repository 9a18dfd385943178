"""Answer mode of a new generator, chosen on the dev split: one prompt with all passages, or one prompt per passage.

Which mode is better differs from generator to generator and cannot be known beforehand. The test split is not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from common.messages import StrOrMessage
from curation.engine.generation.api_generator import ApiError
from curation.models import Release
from curation.releases import generate, lifecycle
from tuning.datasets import collect
from tuning.engine.data.examples import DEV, JudgedQuery
from tuning.evaluation import offline_run
from tuning.models import Run

MAX_QUERIES = 24
MIN_QUERIES = 4
SECONDS = 60.0  # for the answers of the first mode; the second mode answers the same queries
_MODES = (Release.AnswerMode.TOGETHER, Release.AnswerMode.PARALLEL)

Progress = Callable[[int, int, StrOrMessage], None]


@dataclass(frozen=True)
class ModeComparison:
    """Mean F1 of both answer modes on the same dev queries."""

    queries: int
    together: float
    parallel: float

    @property
    def better(self) -> Release.AnswerMode:
        """The mode with the higher F1; together when they are equal, because it is cheaper."""
        return Release.AnswerMode.PARALLEL if self.parallel > self.together else Release.AnswerMode.TOGETHER


def choose_answer_mode(run: Run, release: Release, on_progress: Progress) -> str:
    """Return the better answer mode of `release`, which need not be saved; the figures go into the run's record.

    Its present mode where there is no choice: with one passage per answer, with too few dev answers, or with a
    server that cannot score.
    """
    if release.answer_passages < 2:
        return release.answer_mode
    try:
        comparison = _compare_modes(run, release, on_progress)
    except ApiError:
        return release.answer_mode
    if comparison is None:
        return release.answer_mode
    run.record["answer_mode"] = {
        "queries": comparison.queries,
        "together": comparison.together,
        "parallel": comparison.parallel,
        "chosen": comparison.better.value,
    }
    run.save(update_fields=["record"])
    return comparison.better


def _compare_modes(run: Run, release: Release, on_progress: Progress) -> ModeComparison | None:
    rows = _sample(collect.read_rows(run.dataset, DEV))
    if len(rows) < MIN_QUERIES or not generate.can_ensemble(lifecycle.load_generator(release)):
        return None
    texts = {row.query_id: row.text for row in rows}
    references = {row.query_id: [row.answer or release.refusal] for row in rows}
    rankings = offline_run.rank(release, texts, release.answer_passages, on_progress)
    mean_f1 = {}
    for mode in _MODES:
        release.answer_mode = mode
        limit = SECONDS if mode == Release.AnswerMode.TOGETHER else None
        answers = offline_run.generate_answers(release, texts, rankings, on_progress, limit)
        texts = {query_id: texts[query_id] for query_id in answers}
        values = offline_run.measure_answers(answers, references)
        mean_f1[mode] = sum(measures["f1"] for measures in values.values()) / len(values)
    return ModeComparison(len(texts), *(mean_f1[mode] for mode in _MODES))


def _sample(rows: list[JudgedQuery]) -> list[JudgedQuery]:
    """Return a random sample of the queries with a correct answer, always the same one."""
    answered = [row for row in rows if row.answer or row.is_unanswerable]
    return sorted(answered, key=lambda row: hashlib.sha256(row.query_id.encode()).digest())[:MAX_QUERIES]
