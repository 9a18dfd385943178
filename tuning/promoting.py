"""Decide by the gate: put the challenger in service, or decline it and say why, in one sentence with its numbers."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from curation import serving
from curation.models import Release
from curation.wording import of_measure
from tuning import guarding
from tuning.models import Ask, Decision, Evaluation, Gate, GuardRule, Part, Policy

# What each half is promoted for, and what may not get worse meanwhile.
PRIMARY = {Part.RETRIEVER: "ndcg@10", Part.GENERATOR: "f1"}
GUARDS = ("recall@20", "f1", "ndcg@10")
RULES = ("asks", "guard_rule", "guard_margin", "log_margin", "least_judged")


def decide(evaluation: Evaluation, gate: str = Gate.AUTO) -> Decision:
    """The decision on the evaluation's challenger, carried out; the one there is when it was decided before.

    auto promotes when the 95 % interval of a learned half's primary measure lies above 0 (with a policy that
    asks only for not worse: when that of every one lies above −margin), no guard got worse by more than its
    margin, and enough of both rankings was judged. How a guard is judged is the policy's `guard_rule`; see
    `_fall`.
    """
    with transaction.atomic():
        known = Decision.objects.filter(evaluation=evaluation).first()
        if known is not None:
            return known
        promoted, reason = _verdict(evaluation, gate)
        if promoted:
            serving.switch(evaluation.challenger)
        else:
            serving.decline(evaluation.challenger, reason=reason)
        return Decision.objects.create(
            evaluation=evaluation,
            promoted=promoted,
            reason=reason,
            numbers=evaluation.measures | {"gate": {"rule": gate} | _rules(_policy(evaluation))},
        )


def _verdict(evaluation: Evaluation, gate: str) -> tuple[bool, str]:
    """Whether to promote, and the sentence that says why."""
    figures = " ".join(_figures(name, evaluation.measures[name]) for name in _primaries(evaluation))
    if gate == Gate.NEVER:
        return False, _("Measured only. %(figures)s") % {"figures": figures}
    if gate == Gate.ALWAYS:
        return True, _("Promoted without asking the gate. %(figures)s") % {"figures": figures}
    objection = _objection(evaluation)
    if objection:
        return False, _("Declined: %(why)s. %(figures)s") % {"why": objection, "figures": figures}
    policy = _policy(evaluation)
    if policy.asks == Ask.NOT_WORSE:
        told = _("Promoted: measurably not worse than by %(margin).3f. %(figures)s")
    else:
        told = _("Promoted: measurably better. %(figures)s")
    said = [told % {"figures": figures, "margin": policy.guard_margin}, _unproven(evaluation, policy)]
    return True, " ".join(filter(None, said))


def _objection(evaluation: Evaluation) -> str:
    """Why the gate says no; empty when it does not."""
    measures, policy = evaluation.measures, _policy(evaluation)
    champion = evaluation.champion
    if not Release.objects.serving().filter(pk=champion.pk).exists():
        return _("release %(number)d, which it was measured against, no longer serves") % {"number": champion.number}
    primaries = _primaries(evaluation)
    if not primaries:
        return _("nothing could be measured on the test split")
    return _not_reached(measures, primaries, policy) or _guards(evaluation, policy) or _unjudged(measures, policy)


def _not_reached(measures: dict[str, Any], primaries: list[str], policy: Policy) -> str:
    """Why the primary measures are not what the policy asks; empty when they are."""
    shown = ", ".join(map(of_measure, primaries))
    lows = [measures[name]["low"] for name in primaries]
    if policy.asks == Ask.NOT_WORSE:
        if min(lows) > -policy.guard_margin:
            return ""
        told = _("the interval of %(measures)s does not lie above %(least).3f")
        return told % {"measures": shown, "least": -policy.guard_margin}
    return "" if max(lows) > 0 else _("the interval of %(measures)s does not lie above 0") % {"measures": shown}


def _guards(evaluation: Evaluation, policy: Policy) -> str:
    """Which guard got worse, and by how much; empty when none did."""
    for name, margin in margins(evaluation, policy).items():
        fall = _fall(evaluation.measures[name], margin, policy.guard_rule)
        if fall:
            return fall % {
                "measure": of_measure(name),
                "fall": -evaluation.measures[name]["difference"],
                "low": evaluation.measures[name]["low"],
                "margin": margin,
            }
    return ""


def margins(evaluation: Evaluation, policy: Policy) -> dict[str, float]:
    """Guard → how much worse it may be: the primaries, the other measures of the split, then the guard sets'."""
    measures = evaluation.measures
    found = {name: policy.guard_margin for name in [*_primaries(evaluation), *GUARDS] if name in measures}
    for name, figure in measures.items():
        if name.startswith(guarding.PREFIX) and not figure.get("is_reading"):
            is_log = name.endswith(guarding.LOG_PROBABILITY)
            found[name] = policy.log_margin if is_log else figure.get("margin", policy.guard_margin)
    return found


def _fall(figure: dict[str, Any], margin: float, rule: str) -> str:
    """The sentence of a guard that fell too far, to be filled in; empty when it did not.

    By its interval: the whole interval has to lie above −margin, which proves that it is not worse. A small
    split can never prove that, whatever is measured on it: where the interval is wider than the margin to
    either side, `auto` asks what can still be answered, whether the difference itself is within the margin,
    and the decision names the guards that were judged so.
    """
    if figure["difference"] < -margin:
        return _("%(measure)s fell by %(fall).3f, more than the margin of %(margin).3f")
    if _by_interval(figure, margin, rule) and figure["low"] < -margin:
        return _(
            "%(measure)s may have fallen by more than the margin of %(margin).3f: its interval begins at %(low)+.3f"
        )
    return ""


def _by_interval(figure: dict[str, Any], margin: float, rule: str) -> bool:
    """Whether this guard is judged by its interval: half of it has room within the margin, or the rule says so."""
    if rule == GuardRule.AUTO:
        return bool(figure["high"] - figure["low"] <= 2 * margin)
    return rule == GuardRule.INTERVAL


def _unproven(evaluation: Evaluation, policy: Policy) -> str:
    """Which guards were judged by their difference because there were too few queries to prove anything."""
    if policy.guard_rule != GuardRule.AUTO:
        return ""
    primaries, measures = _primaries(evaluation), evaluation.measures
    names = [
        of_measure(name)
        for name, margin in margins(evaluation, policy).items()
        if not _by_interval(measures[name], margin, policy.guard_rule)
        and not (name in primaries and measures[name]["low"] > 0)
    ]
    if not names:
        return ""
    return _(
        "Too few queries to prove that these did not get worse, so only their difference was asked: %(guards)s."
    ) % {"guards": ", ".join(names)}


def _unjudged(measures: dict[str, Any], policy: Policy) -> str:
    """Why what was judged is too little; empty when it is enough."""
    judged = measures.get("judged@10")
    if not judged or min(judged["champion"], judged["challenger"]) >= policy.least_judged:
        return ""
    return _("only %(share).0f %% of the first ten passages were judged; %(least).0f %% are asked for") % {
        "share": 100 * min(judged["champion"], judged["challenger"]),
        "least": 100 * policy.least_judged,
    }


def _rules(policy: Policy) -> dict[str, Any]:
    """What the gate asked, for the record."""
    return {name: getattr(policy, name) for name in RULES}


def _primaries(evaluation: Evaluation) -> list[str]:
    """The primary measures of the halves that learned, where they could be measured."""
    parts = evaluation.turn.runs.done().values_list("part", flat=True)
    return [PRIMARY[Part(part)] for part in sorted(parts, reverse=True) if PRIMARY[Part(part)] in evaluation.measures]


def _policy(evaluation: Evaluation) -> Policy:
    """The project's policy, or the defaults of one where it has none."""
    project = evaluation.turn.project
    return Policy.objects.filter(project=project).first() or Policy(project=project)


def _figures(name: str, figure: dict[str, Any]) -> str:
    """One measure as a sentence: before, after, the interval, and what the split could have seen."""
    return _(
        "%(measure)s %(champion).3f → %(challenger).3f (%(difference)+.3f; 95 %% interval %(low)+.3f to %(high)+.3f,"
        " p = %(p).4f; %(queries)d queries: cannot see less than %(smallest_visible).2g)."
    ) % (figure | {"measure": of_measure(name)})
