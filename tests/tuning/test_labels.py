"""Messages of cycles, runs and decisions are shown in the reader's language, on the pages and in the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from common.jobs import JobState
from common.messages import message
from curation.models import Event, Project, Query, Release
from tests.challengers import create_challenger
from tuning import labels
from tuning.cycles import training_cycle
from tuning.engine.process.training_loop import TrainingLoop, TrainingPlan
from tuning.engine.process.training_process import MetricsLog
from tuning.engine.process.training_state import TrainingState
from tuning.models import Cycle, Decision, Gate, Run
from tuning.promotion import promotion_gate

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-hans"}


@pytest.fixture(autouse=True)
def _back_to_english() -> Iterator[None]:
    """Activate English again: a request leaves its language active in the thread."""
    with translation.override("en"):
        yield


@pytest.fixture
def undecided(release: Release) -> Release:
    """An evaluated challenger without a decision."""
    challenger = create_challenger(release)
    Decision.objects.all().delete()
    return challenger


def test_a_decision_is_shown_in_the_reader_s_language(undecided: Release) -> None:
    evaluation = undecided.evaluations.get()
    with translation.override("zh-hans"):
        promotion_gate.decide(evaluation)
    reason = Decision.objects.get().reason
    assert str(reason).startswith("Promoted: significant gain. nDCG@10 0.500 → 0.600 (+0.100; 95 % interval +0.020")
    with translation.override("zh-hans"):
        assert str(reason).startswith("已上线：有显著提升。nDCG@10 0.500 → 0.600")


def test_a_declined_one_names_the_guardrail_metric_that_fell(undecided: Release) -> None:
    evaluation = undecided.evaluations.get()
    evaluation.measures["guard:general ndcg@10"] = evaluation.measures["ndcg@10"] | {"difference": -0.05}
    evaluation.save()
    promotion_gate.decide(evaluation)
    decision = Decision.objects.get()
    assert "Guardrail set general: nDCG@10 fell by 0.050, more than the margin of 0.010" in decision.reason
    with translation.override("zh-hans"):
        assert "护栏集 general：nDCG@10 下降了 0.050，超过容差 0.010" in decision.reason
    assert Event.objects.get(verb="release.declined").data["reason"]["code"] == "declined"


def test_a_cycle_s_reason_and_note_over_the_api(
    client: Client, project: Project, release: Release, settle: Callable[..., Query], erin: User
) -> None:
    settle("One question", {"lion": 1})
    cycle = training_cycle.start(project)
    with translation.override("zh-hans"):
        assert training_cycle.advance(cycle, "test")
    Cycle.objects.update(progress_note=message("searching", number=3))
    client.force_login(erin)
    english = client.get(f"/api/v1/projects/zoo/cycles/{cycle.pk}/").json()
    assert english["reason"] == "1 resolved queries can be used; a dataset needs 8"
    assert english["progress_note"] == "searching with release 3"
    chinese = client.get(f"/api/v1/projects/zoo/cycles/{cycle.pk}/", **CHINESE).json()
    assert chinese["reason"] == "有 1 个已定论查询可用；数据集需要 8 个"
    assert chinese["progress_note"] == "正在用发布版本 3 检索"


def test_pages_show_the_notes_reasons_and_record_of_a_run(
    client: Client, project: Project, undecided: Release, erin: User
) -> None:
    run = Run.objects.get()
    run.record = {"taught_by": message("taught_by_grades", why=message("no_time_to_score")).to_json()}
    run.record["merged"] = {"state": "failed", "reason": message("weights_gone").to_json()}
    run.state, run.reason = JobState.FAILED, message("process_signalled", number=9)
    run.progress_note = message("spoken", parts=["both", "a note without words"])
    run.save()
    client.force_login(erin)
    english = client.get(f"/p/zoo/runs/{run.pk}/").content.decode()
    assert "grades only: no answer could be scored within the time limit" in english
    assert "The process was ended by signal 9" in english
    assert str(Run.objects.get().progress_note) == "dual encoder · a note without words"
    chinese = client.get(f"/p/zoo/runs/{run.pk}/", **CHINESE).content.decode()
    assert "仅用等级：时限内没有答案得到打分" in chinese and "进程被信号 9 终止" in chinese


@pytest.mark.parametrize(
    ("choice", "english", "chinese"),
    [
        ("both", "dual encoder", "双编码器"),
        ("no reranker", "no reranker", "不使用重排序器"),
        ("reranker, step 5", "reranker: the weights after step 5", "重排序器：第 5 步之后的权重"),
        (
            "sft: step 3; dpo: step 0",
            "supervised fine-tuning: the weights after step 3 · preference tuning (DPO): the initial weights",
            "监督微调：第 3 步之后的权重 · 偏好微调（DPO）：初始权重",
        ),
        (
            "sft: step 8, the last: there is no dev split to choose by",
            "supervised fine-tuning: the weights after step 8, the last: there is no dev split to choose by",
            "监督微调：最后一步（第 8 步）之后的权重；没有开发集可供选择",
        ),
        ("a strategy of tomorrow", "a strategy of tomorrow", "a strategy of tomorrow"),
    ],
)
def test_the_run_page_shows_what_dev_selected(
    client: Client, undecided: Release, erin: User, choice: str, english: str, chinese: str
) -> None:
    run = Run.objects.get()
    run.record = {"choice": choice}
    run.save()
    client.force_login(erin)
    path = f"/p/zoo/runs/{run.pk}/"
    assert f"<dd>{english}</dd>" in client.get(path).content.decode()
    assert f"<dd>{chinese}</dd>" in client.get(path, **CHINESE).content.decode()


def test_the_choice_of_a_training_loop_is_readable(tmp_path: Path) -> None:
    from torch.nn import Linear

    def choice(evaluate: Callable[[], tuple[float, dict[str, float]]] | None) -> str:
        plan = TrainingPlan("sft", 0, 0.1, lambda: iter([0]), lambda batch: 0.0, evaluate)
        saved_state = TrainingState(tmp_path / "sft.state", str(evaluate))
        loop = TrainingLoop(Linear(1, 1), plan, MetricsLog(tmp_path / "log"), saved_state)
        loop.run()
        return labels.choice_label(f"sft: {loop.choice}")

    assert choice(lambda: (0.5, {})) == "supervised fine-tuning: the initial weights"
    assert choice(None).endswith("step 0, the last: there is no dev split to choose by")


def test_messages_that_were_stored_as_text_are_shown_unchanged(client: Client, undecided: Release, erin: User) -> None:
    evaluation = undecided.evaluations.get()
    Decision.objects.create(evaluation=evaluation, promoted=False, reason="Declined: too dear.")
    Cycle.objects.update(reason="cancelled by erin", progress_note="comparing queries")
    client.force_login(erin)
    page = client.get("/p/zoo/cycles/", **CHINESE).content.decode()
    assert "Declined: too dear." in page
    answer = client.get(f"/api/v1/projects/zoo/cycles/{evaluation.cycle_id}/", **CHINESE).json()
    assert (answer["reason"], answer["progress_note"]) == ("cancelled by erin", "comparing queries")


def test_measure_only_needs_no_measure(undecided: Release) -> None:
    evaluation = undecided.evaluations.get()
    evaluation.measures = {}
    evaluation.save()
    assert str(promotion_gate.decide(evaluation, Gate.NEVER).reason).strip() == "Measured only."
