"""What a worker wrote of cycles, runs and decisions is read in the reader's language, on the pages and over the API."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from common.jobs import JobState
from common.messages import message
from curation.models import Event, Project, Query, Release
from tests.measured import challenge
from tuning import labels
from tuning.cycles import training_cycle
from tuning.engine.process.checkpoints import Bookmark
from tuning.engine.process.training_loop import Course, Lesson
from tuning.engine.process.training_process import Log
from tuning.models import Cycle, Decision, Gate, Run
from tuning.promotion import promotion_gate

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-hans"}


@pytest.fixture(autouse=True)
def _back_to_english() -> Iterator[None]:
    """A request leaves its language behind, in a test as in a thread of a server."""
    with translation.override("en"):
        yield


@pytest.fixture
def undecided(release: Release) -> Release:
    """A measured challenger without its decision."""
    challenger = challenge(release)
    Decision.objects.all().delete()
    return challenger


def test_a_decision_is_read_in_the_reader_s_language(undecided: Release) -> None:
    evaluation = undecided.evaluations.get()
    with translation.override("zh-hans"):
        promotion_gate.decide(evaluation)
    reason = Decision.objects.get().reason
    assert str(reason).startswith("Promoted: measurably better. nDCG@10 0.500 → 0.600 (+0.100; 95 % interval +0.020")
    with translation.override("zh-hans"):
        assert str(reason).startswith("已启用：经测量更好。nDCG@10 0.500 → 0.600")


def test_a_declined_one_too_with_the_guard_that_fell(undecided: Release) -> None:
    evaluation = undecided.evaluations.get()
    evaluation.measures["guard:general ndcg@10"] = evaluation.measures["ndcg@10"] | {"difference": -0.05}
    evaluation.save()
    promotion_gate.decide(evaluation)
    decision = Decision.objects.get()
    assert "Guardrail set general: nDCG@10 fell by 0.050, more than the margin of 0.010" in decision.reason
    with translation.override("zh-hans"):
        assert "守护集 general：nDCG@10 下降了 0.050，超过容差 0.010" in decision.reason
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
    assert english["reason"] == "1 settled queries teach something; a dataset needs 8"
    assert english["progress_note"] == "searching with release 3"
    chinese = client.get(f"/api/v1/projects/zoo/cycles/{cycle.pk}/", **CHINESE).json()
    assert chinese["reason"] == "有 1 个定论问题可供学习；数据集至少需要 8 个"
    assert chinese["progress_note"] == "正在用版本 3 检索"


def test_pages_read_a_run_s_notes_reasons_and_record(
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
    assert "grades alone: no answer could be scored in the time" in english
    assert "it was ended by signal 9" in english
    assert str(Run.objects.get().progress_note) == "both encoders · a note without words"
    chinese = client.get(f"/p/zoo/runs/{run.pk}/", **CHINESE).content.decode()
    assert "仅用评分：时间内没有答案得到打分" in chinese and "被信号 9 终止" in chinese


@pytest.mark.parametrize(
    ("choice", "english", "chinese"),
    [
        ("both", "both encoders", "两侧编码器"),
        ("no reranker", "no reranker", "不用重排器"),
        ("reranker, step 5", "the reranker: the weights after step 5", "重排器：第 5 步之后的权重"),
        (
            "sft: step 3; dpo: step 0",
            "the answers: the weights after step 3 · the preferences: the weights it began with",
            "答案：第 3 步之后的权重 · 偏好：开始时的权重",
        ),
        (
            "sft: step 8, the last: there is no dev split to choose by",
            "the answers: the weights after step 8, the last: there was no dev split to choose by",
            "答案：最后一步（第 8 步）之后的权重；没有开发集可供选择",
        ),
        ("a road of tomorrow", "a road of tomorrow", "a road of tomorrow"),
    ],
)
def test_the_run_page_says_what_dev_chose(
    client: Client, undecided: Release, erin: User, choice: str, english: str, chinese: str
) -> None:
    run = Run.objects.get()
    run.record = {"choice": choice}
    run.save()
    client.force_login(erin)
    path = f"/p/zoo/runs/{run.pk}/"
    assert f"<dd>{english}</dd>" in client.get(path).content.decode()
    assert f"<dd>{chinese}</dd>" in client.get(path, **CHINESE).content.decode()


def test_what_dev_chose_is_read_as_a_course_names_it(tmp_path: Path) -> None:
    from torch.nn import Linear

    def choice(look: Callable[[], tuple[float, dict[str, float]]] | None) -> str:
        lesson = Lesson("sft", steps=0, lr=0.1, batches=lambda: iter([0]), gradients=lambda batch: 0.0, look=look)
        mark = Bookmark(tmp_path / "mark", str(look))
        course = Course(Linear(1, 1), lesson, Log(tmp_path / "log"), mark, math.inf)
        course.run()
        return labels.chosen(f"sft: {course.choice}")

    assert choice(lambda: (0.5, {})) == "the answers: the weights it began with"
    assert choice(None).endswith("step 0, the last: there was no dev split to choose by")


def test_what_was_written_in_words_still_reads(client: Client, undecided: Release, erin: User) -> None:
    evaluation = undecided.evaluations.get()
    Decision.objects.create(evaluation=evaluation, promoted=False, reason="Declined: too dear.")
    Cycle.objects.update(reason="cancelled by erin", progress_note="comparing queries")
    client.force_login(erin)
    page = client.get("/p/zoo/cycles/", **CHINESE).content.decode()
    assert "Declined: too dear." in page
    answer = client.get(f"/api/v1/projects/zoo/cycles/{evaluation.cycle_id}/", **CHINESE).json()
    assert (answer["reason"], answer["progress_note"]) == ("cancelled by erin", "comparing queries")


def test_measured_only_needs_no_measure(undecided: Release) -> None:
    evaluation = undecided.evaluations.get()
    evaluation.measures = {}
    evaluation.save()
    assert str(promotion_gate.decide(evaluation, Gate.NEVER).reason).strip() == "Measured only."
