"""Where retriever and language model disagree, told by the numbers a training leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation.annotation import priority
from curation.core import labels
from curation.models import Assignment, Project, Query
from curation.queries import intake
from retrieval.models import Passage
from retrieval.search.results import Hit
from tests.tuning.conftest import Settle
from tuning.training import lm_disagreement


def _files(folder: Path, rows: dict[int, tuple[list[str], dict[str, float], float]]) -> tuple[Path, Path]:
    scores, candidates = folder / "scores.jsonl", folder / "candidates.jsonl"
    scores.write_text(
        "".join(
            json.dumps({"query_id": str(pk), "scores": told, "without_passage": without}) + "\n"
            for pk, (_ranked, told, without) in rows.items()
        )
    )
    candidates.write_text(
        "".join(json.dumps({"query_id": str(pk), "passages": ranked}) + "\n" for pk, (ranked, _t, _w) in rows.items())
    )
    return scores, candidates


def test_they_disagree_where_the_language_model_cycles_the_order_round(
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
    assert lm_disagreement.note(project, *_files(tmp_path, rows)) == 2
    found = dict(project.queries.values_list("pk", "disagreement"))
    assert found[alike.pk] == pytest.approx(0, abs=0.01) and found[apart.pk] > 0.4
    assert found[needless.pk] is found[sampled.pk] is None


def test_scored_for_the_queue_are_a_few_of_the_subjects_that_are_open(
    project: Project, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, sampled = {"disagreement": 0.3}, {"is_evaluation": True}
    asked = [("lion", {}), ("lion", {}), ("lion", told), ("crow", {}), ("crow", sampled), ("whale", {})]
    lion, second, _told, crow, _sampled, closed = (
        str(settle(f"{n}?", {"lion": 3}, "Yes.", stratum=stratum, **fields).pk)
        for n, (stratum, fields) in enumerate(asked)
    )
    answered = [str(pk) for pk in project.queries.order_by("pk").values_list("pk", flat=True)]
    assert lm_disagreement.worth_scoring(project, answered) == []
    for number, stratum in enumerate(("crow", "crow", "lion", "snail", "")):
        Query.objects.create(project=project, external_id=f"o{number}", text=f"o{number}?", stratum=stratum)
    assert lm_disagreement.worth_scoring(project, answered) == [
        crow,
        lion,
        second,
    ]  # each subject's first before seconds
    assert lm_disagreement.worth_scoring(project, [second, closed]) == [second]
    assert lm_disagreement.worth_scoring(project, [second, lion]) == [second, lion]
    monkeypatch.setattr(lm_disagreement, "MOST_BESIDE", 2)
    assert lm_disagreement.worth_scoring(project, answered) == [crow, lion]


def test_an_open_query_of_a_disputed_subject_moves_up_and_says_so(
    project: Project, settle: Settle, passages: dict[str, Passage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "EVALUATION_SHARE", 0.0)
    taught = settle("Who sleeps?", {"lion": 3}, "The lion.", stratum="lion")
    made = [("a", "lion", False), ("b", "crow", False), ("c", "lion", True)]
    like, other, sampled = (
        Query.objects.create(project=project, external_id=f"o{name}", text=f"{name}?", is_evaluation=is_sampled)
        for name, _shown, is_sampled in made
    )
    intake.freeze_hits([like, other, sampled], None, [[Hit(passages[name].pk, 1, 1.0)] for _n, name, _s in made])
    intake.open_slots_of(project, [like, other, sampled])
    assert (like.stratum, other.stratum) == ("lion", "crow")
    lm_disagreement.note(project, *_files(tmp_path, {taught.pk: (["1", "2"], {"1": -3.0, "2": -0.5}, -4.0)}))
    priority.revalue(project)
    rows = {row.query_id: row for row in Assignment.objects.open()}
    assert rows[like.pk].value > 0.3 and rows[other.pk].value == rows[sampled.pk].value == 0
    assert labels.why(rows[like.pk]) == "The retriever and the language model disagree on questions like this one."
