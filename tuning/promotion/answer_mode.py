"""How a new generator answers: from all passages in one prompt, or in parallel from each, chosen on the dev split.

Which is better differs from generator to generator and cannot be told beforehand. The test split is not looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.messages import StrOrMessage
from curation.engine.generation.api_generator import ApiError
from curation.models import Release
from curation.releases import generate, lifecycle
from tuning.datasets import collect
from tuning.engine.data.examples import DEV, JudgedQuery
from tuning.evaluation import offline_run
from tuning.models import Run

MOST_QUERIES = 24
LEAST_QUERIES = 4
SECONDS = 60.0  # for the answers of the first way; the second answers the same queries

Progress = Callable[[int, int, StrOrMessage], None]


@dataclass(frozen=True)
class Tried:
    """Mean F1 of both ways on the same dev queries."""

    queries: int
    together: float
    parallel: float

    @property
    def better(self) -> Release.AnswerMode:
        """Equal ones: together, which is the cheaper."""
        return Release.AnswerMode.PARALLEL if self.parallel > self.together else Release.AnswerMode.TOGETHER


def way(run: Run, release: Release, on_progress: Progress) -> str:
    """How `release`, which need not be saved, should answer; what was measured goes into the run's record.

    As it does now, where there is nothing to choose: one passage alone, too few dev answers, or a server that
    cannot score.
    """
    if release.answer_passages < 2:
        return release.answer_mode
    try:
        found = _try(run, release, on_progress)
    except ApiError:
        return release.answer_mode
    if found is None:
        return release.answer_mode
    figures: dict[str, Any] = {"queries": found.queries, "together": found.together, "parallel": found.parallel}
    run.record["answering"] = figures | {"chosen": found.better.value}
    run.save(update_fields=["record"])
    return found.better


def _try(run: Run, release: Release, on_progress: Progress) -> Tried | None:
    rows = _sample(collect.rows(run.dataset, DEV))
    if len(rows) < LEAST_QUERIES or not generate.can_mix(lifecycle.generator_for(release)):
        return None
    texts = {row.query_id: row.text for row in rows}
    references = {row.query_id: [row.answer or release.refusal] for row in rows}
    rankings = offline_run.rank(release, texts, release.answer_passages, on_progress)
    means = {}
    for name in (Release.AnswerMode.TOGETHER, Release.AnswerMode.PARALLEL):
        release.answer_mode = name
        limit = SECONDS if name == Release.AnswerMode.TOGETHER else None
        written = offline_run.write(release, texts, rankings, on_progress, limit)
        texts = {query_id: texts[query_id] for query_id in written}
        measured = offline_run.measure_answers(written, references)
        means[name] = sum(values["f1"] for values in measured.values()) / len(measured)
    return Tried(len(texts), means[Release.AnswerMode.TOGETHER], means[Release.AnswerMode.PARALLEL])


def _sample(rows: list[JudgedQuery]) -> list[JudgedQuery]:
    answered = [row for row in rows if row.answer or row.is_unanswerable]
    return sorted(answered, key=lambda row: hashlib.sha256(row.query_id.encode()).digest())[:MOST_QUERIES]
