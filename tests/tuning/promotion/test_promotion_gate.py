"""The promotion gate: its decisions and their reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from curation.models import Project, Release
from curation.releases import lifecycle
from tuning.models import Component, Cycle, Dataset, Evaluation, Gate, GuardrailRule, Policy, Run, TargetRule
from tuning.promotion import promotion_gate


def figure(difference: float, half_width: float = 0.02, judged: float = 1.0) -> dict[str, Any]:
    return {
        "champion": 0.5 if judged == 1.0 else judged,
        "challenger": 0.5 + difference if judged == 1.0 else judged,
        "difference": difference,
        "low": difference - half_width,
        "high": difference + half_width,
        "p": 0.01,
        "queries": 100,
        "smallest_visible": 0.03,
    }


Make = Callable[..., Evaluation]


@pytest.fixture
def evaluated(project: Project, release: Release) -> Make:
    """A function that creates a finished evaluation with these measures, of a cycle that trained these components."""

    def make(components: list[str] = [Component.RETRIEVER], **measures: dict[str, Any]) -> Evaluation:  # noqa: B006
        dataset, _is_new = Dataset.objects.get_or_create(project=project, number=1, path="none", sha256="0")
        cycle = Cycle.objects.create(project=project, state="done", dataset=dataset)
        for component in components:
            Run.objects.create(cycle=cycle, dataset=dataset, component=component, state="done")
        return Evaluation.objects.create(
            cycle=cycle,
            dataset=dataset,
            champion=lifecycle.live_release(project),
            challenger=lifecycle.create_candidate(project, fusion_weight=0.5),
            measures={name.replace("_at_", "@"): value for name, value in measures.items()},
            state="done",
        )

    return make


def test_a_significant_gain_is_promoted_and_goes_live(evaluated: Make, project: Project) -> None:
    evaluation = evaluated(ndcg_at_10=figure(0.05))
    decision = promotion_gate.decide(evaluation)
    assert decision.promoted
    assert lifecycle.live_release(project) == evaluation.challenger
    assert "nDCG@10 0.500 → 0.550 (+0.050; 95 % interval +0.030 to +0.070" in decision.reason
    assert "100 queries, smallest detectable difference 0.03" in decision.reason


def test_an_interval_that_contains_0_is_declined_with_its_numbers(evaluated: Make, project: Project) -> None:
    evaluation = evaluated(ndcg_at_10=figure(0.01))
    decision = promotion_gate.decide(evaluation)
    assert not decision.promoted
    assert "Not promoted: no significant gain in nDCG@10" in decision.reason
    assert lifecycle.live_release(project).number == 1
    evaluation.challenger.refresh_from_db()
    assert evaluation.challenger.state == Release.State.DECLINED


def test_a_guardrail_metric_that_got_worse_declines_a_gain(evaluated: Make) -> None:
    decision = promotion_gate.decide(evaluated(ndcg_at_10=figure(0.05), recall_at_20=figure(-0.03)))
    assert not decision.promoted
    assert "Recall@20 fell by 0.030, more than the margin of 0.010" in decision.reason


def test_the_margin_is_the_projects_own(evaluated: Make, project: Project) -> None:
    Policy.objects.create(project=project, guardrail_margin=0.05)
    assert promotion_gate.decide(evaluated(ndcg_at_10=figure(0.05), recall_at_20=figure(-0.03))).promoted


def test_a_generator_is_promoted_for_its_answers(evaluated: Make) -> None:
    evaluation = evaluated([Component.GENERATOR], ndcg_at_10=figure(0.0), f1=figure(0.2), em=figure(0.1))
    decision = promotion_gate.decide(evaluation)
    assert decision.promoted
    assert "F1 0.500 → 0.700" in decision.reason


def test_of_two_components_neither_may_get_worse(evaluated: Make) -> None:
    both = [Component.RETRIEVER, Component.GENERATOR]
    assert not promotion_gate.decide(evaluated(both, ndcg_at_10=figure(0.05), f1=figure(-0.02))).promoted
    assert promotion_gate.decide(evaluated(both, ndcg_at_10=figure(0.05), f1=figure(0.0))).promoted


def test_too_few_judged_passages_decline(evaluated: Make, project: Project) -> None:
    Policy.objects.create(project=project, min_judged=0.95)
    measures = {"ndcg_at_10": figure(0.05), "judged_at_10": figure(0.0, judged=0.4)}
    evaluation = evaluated(**measures)
    decision = promotion_gate.decide(evaluation)
    assert not decision.promoted
    assert "only 40 % of the first ten passages were judged; the policy requires 95 %" in decision.reason
    evaluation.challenger.refresh_from_db()
    assert evaluation.challenger.judged_share == measures["judged_at_10"]["challenger"]


@pytest.mark.parametrize(("gate", "promoted"), [(Gate.ALWAYS, True), (Gate.NEVER, False)])
def test_always_and_never_do_not_depend_on_the_measures(evaluated: Make, gate: str, promoted: bool) -> None:
    difference = -0.2 if gate == Gate.ALWAYS else 0.2
    assert promotion_gate.decide(evaluated(ndcg_at_10=figure(difference)), gate).promoted is promoted


def test_without_a_measure_nothing_is_promoted(evaluated: Make) -> None:
    decision = promotion_gate.decide(evaluated())
    assert not decision.promoted
    assert "nothing could be measured" in decision.reason


def test_a_second_decision_returns_the_first(evaluated: Make, project: Project) -> None:
    evaluation = evaluated(ndcg_at_10=figure(0.05))
    first = promotion_gate.decide(evaluation)
    lifecycle.roll_back(project)
    assert promotion_gate.decide(evaluation) == first
    assert lifecycle.live_release(project).number == 1  # the rollback is not undone


def test_a_champion_that_is_no_longer_live_makes_the_measures_stale(evaluated: Make, project: Project) -> None:
    evaluation = evaluated(ndcg_at_10=figure(0.05))
    lifecycle.promote(lifecycle.create_candidate(project, fusion_weight=0.1))
    decision = promotion_gate.decide(evaluation)
    assert not decision.promoted
    assert "release 1, the baseline of the evaluation, is no longer live" in decision.reason


def test_a_guardrail_metric_with_a_narrow_interval_is_checked_by_it(evaluated: Make) -> None:
    narrow = figure(-0.006, half_width=0.008)  # no wider than the margin of 0.01 to either side
    decision = promotion_gate.decide(evaluated(ndcg_at_10=figure(0.05), recall_at_20=narrow))
    assert not decision.promoted
    assert (
        "Recall@20 may have fallen by more than the margin of 0.010: its interval starts at -0.014" in decision.reason
    )


def test_a_guardrail_metric_with_a_wide_interval_is_checked_by_its_difference_and_named(evaluated: Make) -> None:
    decision = promotion_gate.decide(evaluated(ndcg_at_10=figure(0.05), recall_at_20=figure(-0.006, half_width=0.05)))
    assert decision.promoted
    assert "so only the difference was checked: Recall@20." in decision.reason
    assert decision.numbers["gate"]["guardrail_rule"] == GuardrailRule.AUTO


@pytest.mark.parametrize(("rule", "promoted"), [(GuardrailRule.INTERVAL, False), (GuardrailRule.DIFFERENCE, True)])
def test_the_policy_says_how_a_guardrail_metric_is_checked(
    evaluated: Make, project: Project, rule: str, promoted: bool
) -> None:
    Policy.objects.create(project=project, guardrail_rule=rule)
    decision = promotion_gate.decide(evaluated(ndcg_at_10=figure(0.05), recall_at_20=figure(-0.006, half_width=0.05)))
    assert decision.promoted is promoted
    assert "only the difference" not in decision.reason


@pytest.mark.parametrize(("difference", "promoted"), [(0.011, True), (-0.015, False)])
def test_not_worse_is_enough_if_the_policy_says_so(
    evaluated: Make, project: Project, difference: float, promoted: bool
) -> None:
    Policy.objects.create(project=project, target_rule=TargetRule.NOT_WORSE)
    decision = promotion_gate.decide(evaluated(ndcg_at_10=figure(difference)))
    assert decision.promoted is promoted
    reason = "not worse by more than 0.010" if promoted else "the interval of nDCG@10 does not lie above -0.010"
    assert reason in decision.reason


@pytest.mark.parametrize("key", ["is_informational", "is_reading"])  # the second: of an earlier version
def test_a_guardrail_set_has_its_own_margin_and_an_informational_metric_is_not_checked(
    evaluated: Make, key: str
) -> None:
    of_set = {"margin": 0.03}
    informational = figure(-0.5) | {"margin": 0.03, key: True}
    fine = {"guard:general ndcg@10": figure(-0.025, half_width=0.05) | of_set, "guard:closed-book f1": informational}
    assert promotion_gate.decide(evaluated(ndcg_at_10=figure(0.05), **fine)).promoted
    forgot = {"guard:general ndcg@10": figure(-0.035) | of_set}
    decision = promotion_gate.decide(evaluated(ndcg_at_10=figure(0.05), **forgot))
    assert not decision.promoted
    assert "Guardrail set general: nDCG@10 fell by 0.035, more than the margin of 0.030" in decision.reason


def test_the_log_probability_of_closed_book_answers_has_a_margin_in_nats(evaluated: Make, project: Project) -> None:
    Policy.objects.create(project=project, log_prob_margin=0.2)
    for fall, promoted in ((0.15, True), (0.25, False)):
        forgot = {"guard:closed-book logprob": figure(-fall) | {"margin": 0.03}}
        evaluation = evaluated([Component.GENERATOR], f1=figure(0.1), **forgot)
        assert promotion_gate.decide(evaluation).promoted is promoted
        lifecycle.promote(evaluation.champion)


def test_a_metric_that_changed_for_no_query_has_no_interval_in_the_reason(evaluated: Make) -> None:
    unchanged = figure(0.0, half_width=0.0) | {"p": 1.0, "smallest_visible": 0.0}
    decision = promotion_gate.decide(evaluated(ndcg_at_10=unchanged))
    assert "nDCG@10 0.500 → 0.500, equal for each of 100 queries." in decision.reason
    assert "smallest detectable" not in decision.reason
