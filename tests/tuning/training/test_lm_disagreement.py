"""Disagreement of retriever and language model, from the scores that a training leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation.annotation import assignments, priority
from curation.core import labels
from curation.models import Assignment, Project, Query
from curation.queries import evaluation_sample, intake
from retrieval.models import Passage
from retrieval.search.results import Hit
from tests.tuning.conftest import Settle
from tuning.training import lm_disagreement


def _files(folder: Path, rows: dict[int, tuple[list[str], dict[str, float], float]]) -> tuple[Path, Path]:
    scores, candidates = folder / "scores.jsonl", folder / "candidates.jsonl"
    scores.write_text(
        "".join(
            json.dumps({"query_id": str(pk), "scores": lm_scores, "without_passage": without}) + "\n"
            for pk, (_ranked, lm_scores, without) in rows.items()
        )
    )
    candidates.write_text(
        "".join(json.dumps({"query_id": str(pk), "passages": ranked}) + "\n" for pk, (ranked, _t, _w) in rows.items())
    )
    return scores, candidates


def test_the_disagreement_is_high_where_the_language_model_inverts_the_order(
    project: Project, settle: Settle, tmp_path: Path
) -> None:
    alike, apart, needless, sampled = (settle(f"{n}?", {"lion": 3}, "Yes.", is_evaluation=n == 3) for n in range(4))
    ranked = ["1", "2", "3"]
    rows = {
        alike.pk: (ranked, {"1": -0.5, "2": -0.6, "3": -0.66}, -2.0),  # about 1 : 1/2 : 1/3
        apart.pk: (ranked, {"1": -2.0, "2": -2.0, "3": -0.5, "9": -0.5}, -3.0),
        needless.pk: (ranked, {"1": -2.0, "2": -1.0, "3": -0.5}, -0.1),
        sampled.pk: (ranked, {"1": -2.0, "2": -1.0, "3": -0.5}, -3.0),
    }
    assert lm_disagreement.record_disagreement(project, *_files(tmp_path, rows)) == 2
    disagreement = dict(project.queries.values_list("pk", "disagreement"))
    assert disagreement[alike.pk] == pytest.approx(0, abs=0.01) and disagreement[apart.pk] > 0.4
    assert disagreement[needless.pk] is disagreement[sampled.pk] is None


def test_extra_queries_are_of_strata_with_open_queries(
    project: Project, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored, sampled = {"disagreement": 0.3}, {"is_evaluation": True}
    strata = [("lion", {}), ("lion", {}), ("lion", scored), ("crow", {}), ("crow", sampled), ("whale", {})]
    lion, second, _scored, crow, _sampled, closed = (
        str(settle(f"{n}?", {"lion": 3}, "Yes.", stratum=stratum, **fields).pk)
        for n, (stratum, fields) in enumerate(strata)
    )
    answered = [str(pk) for pk in project.queries.order_by("pk").values_list("pk", flat=True)]
    assert lm_disagreement.select_queries(project, answered) == []
    for number, stratum in enumerate(("crow", "crow", "lion", "snail", "")):
        Query.objects.create(project=project, external_id=f"o{number}", text=f"o{number}?", stratum=stratum)
    # the first of each stratum before the second of any
    assert lm_disagreement.select_queries(project, answered) == [crow, lion, second]
    assert lm_disagreement.select_queries(project, [second, closed]) == [second]
    assert lm_disagreement.select_queries(project, [second, lion]) == [second, lion]
    monkeypatch.setattr(lm_disagreement, "MAX_EXTRA_QUERIES", 2)
    assert lm_disagreement.select_queries(project, answered) == [crow, lion]


def test_an_open_query_of_a_stratum_with_disagreement_gets_priority_and_the_reason(
    project: Project, settle: Settle, passages: dict[str, Passage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_sample, "EVALUATION_SHARE", 0.0)
    scored = settle("Who sleeps?", {"lion": 3}, "The lion.", stratum="lion")
    open_queries = [("a", "lion", False), ("b", "crow", False), ("c", "lion", True)]
    like, other, sampled = (
        Query.objects.create(project=project, external_id=f"o{name}", text=f"{name}?", is_evaluation=is_sampled)
        for name, _shown, is_sampled in open_queries
    )
    intake.freeze_hits(
        [like, other, sampled], None, [[Hit(passages[name].pk, 1, 1.0)] for _n, name, _s in open_queries]
    )
    assignments.create_open(project, [like, other, sampled])
    assert (like.stratum, other.stratum) == ("lion", "crow")
    lm_disagreement.record_disagreement(
        project, *_files(tmp_path, {scored.pk: (["1", "2"], {"1": -3.0, "2": -0.5}, -4.0)})
    )
    priority.update_priorities(project)
    rows = {row.query_id: row for row in Assignment.objects.open()}
    assert rows[like.pk].priority > 0.3 and rows[other.pk].priority == rows[sampled.pk].priority == 0
    assert labels.describe_reason(rows[like.pk]) == "The retriever and the language model disagree on similar queries."
