"""Decide by the gate: put the challenger in service, or decline it and say why, in one sentence with its numbers."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from common.messages import Message, StrOrMessage, message
from curation.models import Release
from curation.releases import lifecycle
from tuning.evaluation import guardrails, reranker_tradeoff
from tuning.labels import measures as by_name
from tuning.models import Component, Decision, Evaluation, Gate, GuardrailRule, Policy, TargetRule

# What each component is promoted for, and what may not get worse meanwhile.
PRIMARY = {Component.RETRIEVER: "ndcg@10", Component.GENERATOR: "f1"}
NON_INFERIORITY = ("recall@20", "f1", "ndcg@10")
RULES = ("target_rule", "guardrail_rule", "guardrail_margin", "log_prob_margin", "min_judged", "max_rerank_ms")
FIGURES = ("champion", "challenger", "difference", "low", "high", "p", "queries", "smallest_visible")


def decide(evaluation: Evaluation, gate: str = Gate.AUTO) -> Decision:
    """The decision on the evaluation's challenger, carried out; the one there is when it was decided before.

    auto promotes when the 95 % interval of a learned component's primary measure lies above 0 (with a policy that
    asks only for not worse: when that of every one lies above −margin), no guardrail_set got worse by more than its
    margin, and enough of both rankings was judged. How a guardrail set is judged is the policy's `guardrail_rule`; see
    `_fall`.
    """
    with transaction.atomic():
        known = Decision.objects.filter(evaluation=evaluation).first()
        if known is not None:
            return known
        _keep_judged_share(evaluation)
        promoted, reason = _verdict(evaluation, gate)
        if promoted:
            lifecycle.switch(evaluation.challenger)
        else:
            lifecycle.decline(evaluation.challenger, reason=reason)
        return Decision.objects.create(
            evaluation=evaluation,
            promoted=promoted,
            reason=reason,
            numbers=_numbers(evaluation, gate),
        )


def _keep_judged_share(evaluation: Evaluation) -> None:
    """With both releases, for who looks at the one in service before it was asked anything."""
    judged = evaluation.measures.get("judged@10")
    for role in ("champion", "challenger") if judged else ():
        Release.objects.filter(pk=getattr(evaluation, f"{role}_id")).update(judged_share=judged[role])


def _numbers(evaluation: Evaluation, gate: str) -> dict[str, Any]:
    """All that was measured, and what the gate asked."""
    weighed = {"reranking": evaluation.reranking} if evaluation.reranking else {}
    found: dict[str, Any] = evaluation.measures | weighed
    return found | {"gate": {"rule": gate} | _rules(Policy.of(evaluation.cycle.project))}


def _verdict(evaluation: Evaluation, gate: str) -> tuple[bool, Message]:
    """Whether to promote, and the sentence that says why."""
    parts: list[StrOrMessage] = [_figures(name, evaluation.measures[name]) for name in _primaries(evaluation)]
    figures = message("together", parts=[*parts, reranker_tradeoff.told(evaluation.reranking)])
    if gate == Gate.NEVER:
        return False, message("measured_only", figures=figures)
    if gate == Gate.ALWAYS:
        return True, message("not_asked", figures=figures)
    objection = _objection(evaluation)
    if objection:
        return False, message("declined", why=objection, figures=figures)
    policy = Policy.of(evaluation.cycle.project)
    if policy.target_rule == TargetRule.NOT_WORSE:
        told = message("promoted_not_worse", margin=policy.guardrail_margin, figures=figures)
    else:
        told = message("promoted_better", figures=figures)
    return True, message("together", parts=[told, _unproven(evaluation, policy)])


def _objection(evaluation: Evaluation) -> StrOrMessage:
    """Why the gate says no; empty when it does not."""
    measures, policy = evaluation.measures, Policy.of(evaluation.cycle.project)
    champion = evaluation.champion
    if not Release.objects.serving().filter(pk=champion.pk).exists():
        return message("champion_gone", number=champion.number)
    primaries = _primaries(evaluation)
    if not primaries:
        return message("nothing_measured")
    return _not_reached(measures, primaries, policy) or _guards(evaluation, policy) or _unjudged(measures, policy)


def _not_reached(measures: dict[str, Any], primaries: list[str], policy: Policy) -> StrOrMessage:
    """Why the primary measures are not what the policy asks; empty when they are."""
    lows = [measures[name]["low"] for name in primaries]
    if policy.target_rule == TargetRule.NOT_WORSE:
        if min(lows) > -policy.guardrail_margin:
            return ""
        return message("not_above_margin", measures=by_name(primaries), least=-policy.guardrail_margin)
    return "" if max(lows) > 0 else message("not_above_0", measures=by_name(primaries))


def _guards(evaluation: Evaluation, policy: Policy) -> StrOrMessage:
    """Which guardrail_set got worse, and by how much; empty when none did."""
    for name, margin in margins(evaluation, policy).items():
        fall = _fall(name, evaluation.measures[name], margin, policy.guardrail_rule)
        if fall:
            return fall
    return ""


def margins(evaluation: Evaluation, policy: Policy) -> dict[str, float]:
    """Allowed loss of each guardrail: the primaries, the other metrics of the split, then the guardrail sets."""
    measures = evaluation.measures
    found = {name: policy.guardrail_margin for name in [*_primaries(evaluation), *NON_INFERIORITY] if name in measures}
    for name, figure in measures.items():
        if name.startswith(guardrails.PREFIX) and not figure.get("is_reading"):
            is_log = name.endswith(guardrails.LOG_PROBABILITY)
            found[name] = policy.log_prob_margin if is_log else figure.get("margin", policy.guardrail_margin)
    return found


def _fall(name: str, figure: dict[str, Any], margin: float, rule: str) -> StrOrMessage:
    """The sentence of a guardrail set that fell too far; empty when it did not.

    By its interval: the whole interval has to lie above −margin, which proves that it is not worse. A small
    split can never prove that, whatever is measured on it: where the interval is wider than the margin to
    either side, `auto` asks what can still be answered, whether the difference itself is within the margin,
    and the decision names the guardrails that were judged so.
    """
    if figure["difference"] < -margin:
        return message("fell", measure=by_name([name]), fall=-figure["difference"], margin=margin)
    if _by_interval(figure, margin, rule) and figure["low"] < -margin:
        return message("may_have_fallen", measure=by_name([name]), margin=margin, low=figure["low"])
    return ""


def _by_interval(figure: dict[str, Any], margin: float, rule: str) -> bool:
    """Whether this metric is judged by its interval: the rule says so, or half of it lies within the margin."""
    if rule == GuardrailRule.AUTO:
        return bool(figure["high"] - figure["low"] <= 2 * margin)
    return rule == GuardrailRule.INTERVAL


def _unproven(evaluation: Evaluation, policy: Policy) -> StrOrMessage:
    """Which guardrails were judged by their difference because there were too few queries to prove anything."""
    if policy.guardrail_rule != GuardrailRule.AUTO:
        return ""
    primaries, measures = _primaries(evaluation), evaluation.measures
    names = [
        name
        for name, margin in margins(evaluation, policy).items()
        if not _by_interval(measures[name], margin, policy.guardrail_rule)
        and not (name in primaries and measures[name]["low"] > 0)
    ]
    return message("unproven", guards=by_name(names)) if names else ""


def _unjudged(measures: dict[str, Any], policy: Policy) -> StrOrMessage:
    """Why what was judged is too little; empty when it is enough."""
    judged = measures.get("judged@10")
    if not judged or min(judged["champion"], judged["challenger"]) >= policy.min_judged:
        return ""
    share = 100 * min(judged["champion"], judged["challenger"])
    return message("little_judged", share=share, least=100 * policy.min_judged)


def _rules(policy: Policy) -> dict[str, Any]:
    """What the gate asked, for the record."""
    return {name: getattr(policy, name) for name in RULES}


def _primaries(evaluation: Evaluation) -> list[str]:
    """The primary measures of the components that learned, where they could be measured."""
    learned = set(evaluation.cycle.runs.done().values_list("component", flat=True))
    return [name for component, name in PRIMARY.items() if component in learned and name in evaluation.measures]


def _figures(name: str, figure: dict[str, Any]) -> Message:
    """One measure as a sentence: before, after, the interval, and what the split could have seen."""
    shown = {name: figure[name] for name in FIGURES}
    if figure["low"] == figure["high"] == figure["difference"] == 0:
        return message("figures_alike", measure=by_name([name]), **shown)
    return message("figures", measure=by_name([name]), **shown)
