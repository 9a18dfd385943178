"""Decide by the gate: put the challenger in service, or decline it and say why, in one sentence with its numbers."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from curation import serving
from curation.models import Release
from tuning.models import Decision, Evaluation, Gate, Part, Policy

# What each half is promoted for, and what may not get worse meanwhile.
PRIMARY = {Part.RETRIEVER: "ndcg@10", Part.GENERATOR: "f1"}
GUARDS = ("recall@20", "f1", "ndcg@10")


def decide(evaluation: Evaluation, gate: str = Gate.AUTO) -> Decision:
    """The decision on the evaluation's challenger, carried out; the one there is when it was decided before.

    auto promotes when the 95 % interval of a learned half's primary measure lies above 0, no guard got
    worse by more than the policy's margin, and enough of both rankings was judged. A guard is judged by
    its difference, not by its interval: the interval of a small split always reaches below the margin.
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
            evaluation=evaluation, promoted=promoted, reason=reason, numbers=evaluation.measures
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
    return True, _("Promoted: measurably better. %(figures)s") % {"figures": figures}


def _objection(evaluation: Evaluation) -> str:
    """Why the gate says no; empty when it does not."""
    measures, policy = evaluation.measures, _policy(evaluation)
    champion = evaluation.champion
    if not Release.objects.serving().filter(pk=champion.pk).exists():
        return _("release %(number)d, which it was measured against, no longer serves") % {"number": champion.number}
    primaries = _primaries(evaluation)
    if not primaries:
        return _("nothing could be measured on the test split")
    if not any(measures[name]["low"] > 0 for name in primaries):
        return _("the interval of %(measures)s does not lie above 0") % {"measures": ", ".join(map(_shown, primaries))}
    for name in dict.fromkeys([*primaries, *GUARDS]):
        if name in measures and measures[name]["difference"] < -policy.guard_margin:
            return _("%(measure)s fell by %(fall).3f, more than the margin of %(margin).3f") % {
                "measure": _shown(name),
                "fall": -measures[name]["difference"],
                "margin": policy.guard_margin,
            }
    judged = measures.get("judged@10")
    if judged and min(judged["champion"], judged["challenger"]) < policy.least_judged:
        return _("only %(share).0f %% of the first ten passages were judged; %(least).0f %% are asked for") % {
            "share": 100 * min(judged["champion"], judged["challenger"]),
            "least": 100 * policy.least_judged,
        }
    return ""


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
    ) % (figure | {"measure": _shown(name)})


def _shown(name: str) -> str:
    """The measure as people write it."""
    return {"ndcg@10": "nDCG@10", "f1": "F1", "em": "EM", "mrr@10": "MRR@10"}.get(name, name)
