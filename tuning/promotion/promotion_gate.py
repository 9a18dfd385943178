"""Promotion gate: promote the challenger or decline it, with the reason and the numbers in one sentence."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from common.messages import Message, StrOrMessage, message
from common.renamed_keys import with_current_keys
from curation.models import Release
from curation.releases import lifecycle
from tuning.evaluation import guardrail_metrics, reranker_tradeoff
from tuning.labels import measure_list
from tuning.models import Component, Decision, Evaluation, Gate, GuardrailRule, Policy, TargetRule

# The target metric of each component, and the other metrics of the test split that must not get worse.
TARGET_MEASURES = {Component.RETRIEVER: "ndcg@10", Component.GENERATOR: "f1"}
NON_INFERIORITY_MEASURES = ("recall@20", "f1", "ndcg@10")
RULES = ("target_rule", "guardrail_rule", "guardrail_margin", "log_prob_margin", "min_judged", "max_rerank_ms")
FIGURES = ("champion", "challenger", "difference", "low", "high", "p", "queries", "smallest_visible")


def decide(evaluation: Evaluation, gate: str = Gate.AUTO) -> Decision:
    """Decide on the evaluation's challenger and carry the decision out; return an earlier decision unchanged.

    With Gate.AUTO the challenger is promoted when the 95 % interval of the target metric of a trained component lies
    above 0 (with TargetRule.NOT_WORSE: when the interval of every target metric lies above −margin), no guardrail
    metric got worse by more than its margin, and enough of both rankings was judged. The policy's `guardrail_rule`
    says how a guardrail metric is checked; see `_guardrail_objection`.
    """
    with transaction.atomic():
        earlier = Decision.objects.filter(evaluation=evaluation).first()
        if earlier is not None:
            return earlier
        _store_judged_shares(evaluation)
        promoted, reason = _verdict(evaluation, gate)
        if promoted:
            lifecycle.promote(evaluation.challenger)
        else:
            lifecycle.decline(evaluation.challenger, reason=reason)
        return Decision.objects.create(
            evaluation=evaluation,
            promoted=promoted,
            reason=reason,
            numbers=_numbers(evaluation, gate),
        )


def margins(evaluation: Evaluation, policy: Policy) -> dict[str, float]:
    """Return the allowed loss of each guardrail metric.

    In order: the target metrics, the other metrics of the test split, the guardrail sets. Informational metrics are
    left out.
    """
    measures = evaluation.measures
    names = [*_target_measures(evaluation), *NON_INFERIORITY_MEASURES]
    allowed = {name: policy.guardrail_margin for name in names if name in measures}
    for name, figure in measures.items():
        if not name.startswith(guardrail_metrics.PREFIX) or with_current_keys("figure", figure).get("is_informational"):
            continue
        is_log_probability = name.endswith(guardrail_metrics.LOG_PROBABILITY)
        set_margin = figure.get("margin", policy.guardrail_margin)
        allowed[name] = policy.log_prob_margin if is_log_probability else set_margin
    return allowed


def _store_judged_shares(evaluation: Evaluation) -> None:
    """Store the judged share with both releases, so that their pages show it before any traffic."""
    judged = evaluation.measures.get("judged@10")
    for role in ("champion", "challenger") if judged else ():
        Release.objects.filter(pk=getattr(evaluation, f"{role}_id")).update(judged_share=judged[role])


def _numbers(evaluation: Evaluation, gate: str) -> dict[str, Any]:
    """Return all measures, and the rules of the gate at the time of the decision."""
    policy = Policy.of(evaluation.cycle.project)
    numbers: dict[str, Any] = dict(evaluation.measures)
    if evaluation.reranking:
        numbers["reranking"] = evaluation.tradeoff
    return numbers | {"gate": {"rule": gate} | {name: getattr(policy, name) for name in RULES}}


def _verdict(evaluation: Evaluation, gate: str) -> tuple[bool, Message]:
    """Return whether to promote, and the sentence with the reason."""
    parts: list[StrOrMessage] = [_figures(name, evaluation.measures[name]) for name in _target_measures(evaluation)]
    figures = message("together", parts=[*parts, reranker_tradeoff.tradeoff_message(evaluation.tradeoff)])
    if gate == Gate.NEVER:
        return False, message("measured_only", figures=figures)
    if gate == Gate.ALWAYS:
        return True, message("not_asked", figures=figures)
    objection = _objection(evaluation)
    if objection:
        return False, message("declined", why=objection, figures=figures)
    policy = Policy.of(evaluation.cycle.project)
    if policy.target_rule == TargetRule.NOT_WORSE:
        promoted = message("promoted_not_worse", margin=policy.guardrail_margin, figures=figures)
    else:
        promoted = message("promoted_better", figures=figures)
    return True, message("together", parts=[promoted, _without_interval_test(evaluation, policy)])


def _objection(evaluation: Evaluation) -> StrOrMessage:
    """Return why the challenger is not promoted; empty when the gate passes."""
    policy, champion = Policy.of(evaluation.cycle.project), evaluation.champion
    if not Release.objects.live().filter(pk=champion.pk).exists():
        return message("champion_gone", number=champion.number)
    if not _target_measures(evaluation):
        return message("nothing_measured")
    return (
        _target_objection(evaluation, policy)
        or _guardrail_objection(evaluation, policy)
        or _judged_objection(evaluation, policy)
    )


def _target_objection(evaluation: Evaluation, policy: Policy) -> StrOrMessage:
    """Return why the target metrics do not meet the policy's rule; empty when they do."""
    names = _target_measures(evaluation)
    lows = [evaluation.measures[name]["low"] for name in names]
    if policy.target_rule == TargetRule.NOT_WORSE:
        if min(lows) > -policy.guardrail_margin:
            return ""
        return message("not_above_margin", measures=measure_list(names), least=-policy.guardrail_margin)
    return "" if max(lows) > 0 else message("not_above_0", measures=measure_list(names))


def _guardrail_objection(evaluation: Evaluation, policy: Policy) -> StrOrMessage:
    """Return the first guardrail metric that got worse by more than its margin; empty when none did.

    By its interval: the whole interval has to lie above −margin, which proves that the metric is not worse. A small
    test split can never prove that: where the interval is wider than the margin to either side, GuardrailRule.AUTO
    checks the difference instead, and the decision names the metrics that were checked so.
    """
    for name, margin in margins(evaluation, policy).items():
        figure = evaluation.measures[name]
        if figure["difference"] < -margin:
            return message("fell", measure=measure_list([name]), fall=-figure["difference"], margin=margin)
        if _uses_interval(figure, margin, policy.guardrail_rule) and figure["low"] < -margin:
            return message("may_have_fallen", measure=measure_list([name]), margin=margin, low=figure["low"])
    return ""


def _uses_interval(figure: dict[str, Any], margin: float, rule: str) -> bool:
    """Whether this metric is checked by its interval: by the rule, or because half the interval fits the margin."""
    if rule == GuardrailRule.AUTO:
        return bool(figure["high"] - figure["low"] <= 2 * margin)
    return rule == GuardrailRule.INTERVAL


def _without_interval_test(evaluation: Evaluation, policy: Policy) -> StrOrMessage:
    """Return which guardrail metrics had too few queries for their interval, so that only the difference counted."""
    if policy.guardrail_rule != GuardrailRule.AUTO:
        return ""
    targets, measures = _target_measures(evaluation), evaluation.measures
    names = [
        name
        for name, margin in margins(evaluation, policy).items()
        if not _uses_interval(measures[name], margin, policy.guardrail_rule)
        and not (name in targets and measures[name]["low"] > 0)
    ]
    return message("unproven", guards=measure_list(names)) if names else ""


def _judged_objection(evaluation: Evaluation, policy: Policy) -> StrOrMessage:
    """Return that too few passages of the rankings were judged; empty when enough were."""
    judged = evaluation.measures.get("judged@10")
    if not judged or min(judged["champion"], judged["challenger"]) >= policy.min_judged:
        return ""
    share = 100 * min(judged["champion"], judged["challenger"])
    return message("little_judged", share=share, least=100 * policy.min_judged)


def _target_measures(evaluation: Evaluation) -> list[str]:
    """Return the target metrics of the components that were trained, where they could be measured."""
    trained = set(evaluation.cycle.runs.done().values_list("component", flat=True))
    return [name for component, name in TARGET_MEASURES.items() if component in trained and name in evaluation.measures]


def _figures(name: str, figure: dict[str, Any]) -> Message:
    """Return one metric as a sentence: before, after, interval, smallest detectable difference."""
    shown = {key: figure[key] for key in FIGURES}
    if figure["low"] == figure["high"] == figure["difference"] == 0:
        return message("figures_alike", measure=measure_list([name]), **shown)
    return message("figures", measure=measure_list([name]), **shown)
