"""Rows of a finished training cycle: a challenger that was trained, evaluated against the champion and decided on."""

from __future__ import annotations

import json
from pathlib import Path

from django.conf import settings

from common.jobs import JobState
from curation.models import Release
from curation.releases import lifecycle
from tuning.models import Component, Cycle, Dataset, Decision, Evaluation, Run

FIGURES = {"low": 0.02, "high": 0.18, "p": 0.0004, "queries": 3, "smallest_visible": 0.05}


def create_challenger(champion: Release, before: float = 0.5, after: float = 0.6) -> Release:
    """Create a candidate whose nDCG@10 went from before to after, with its cycle, run, evaluation and decision."""
    project = champion.project
    challenger = lifecycle.create_candidate(project)
    dataset = Dataset.objects.create(
        project=project,
        number=challenger.number,
        sha256="0" * 64,
        counts={"train": {"queries": 8, "grades": 24}, "dev": {}, "test": {"queries": 3}},
    )
    cycle = Cycle.objects.create(
        project=project, state=JobState.DONE, step=Cycle.Step.DECIDE, dataset=dataset, challenger=challenger
    )
    run = Run.objects.create(
        cycle=cycle, dataset=dataset, component=Component.RETRIEVER, state=JobState.DONE, loss=0.4, seconds=9
    )
    run.path = f"runs/{run.pk}"
    run.save(update_fields=["path"])
    write_metrics(run, [{"step": step, "loss": 1 / (step + 1), "dev": {"ndcg@10": 0.5}} for step in range(5)])
    figures = FIGURES | {"champion": before, "challenger": after, "difference": after - before}
    texts = ["Who sings?", "Who swims?", "Who sleeps?"]
    queries = [project.queries.create(external_id=f"m{number}", text=text) for number, text in enumerate(texts)]
    values = [(0.9, 0.3), (0.2, 1.0), (0.5, 0.5)]
    evaluation = Evaluation.objects.create(
        cycle=cycle,
        dataset=dataset,
        champion=champion,
        challenger=challenger,
        state=JobState.DONE,
        measures={"ndcg@10": figures, "ndcg@10 unseen": figures},
        per_query={str(query.pk): {"ndcg@10": pair} for query, pair in zip(queries, values, strict=True)},
    )
    Decision.objects.create(evaluation=evaluation, promoted=False, reason="Measured only.", numbers={})
    return challenger


def write_metrics(run: Run, rows: list[dict[str, object]], tail: str = "") -> None:
    """Write the metrics file of a training process. tail: a line that it has not finished."""
    folder = Path(settings.DATA_DIR) / run.path
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(lines + tail)
