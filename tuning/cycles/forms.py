"""Forms of training cycles: start one, and the policy that starts them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.core import forms as core_forms
from tuning.models import COMPONENTS, Gate, Policy
from tuning.training import training_runs

BOTH = [("", _("retriever and generator")), *COMPONENTS]
RERANKER = _("Train a reranker after the retriever")
RERANKER_HELP = _("It stays only where it is measured to pay for its milliseconds.")


class StartForm(forms.Form):
    only = forms.ChoiceField(required=False, choices=BOTH, label=_("What learns"))
    gate = forms.ChoiceField(choices=Gate.choices, initial=Gate.AUTO, label=_("Then"))
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        initial=0,
        required=False,
        label=_("Seed"),
        help_text=_("The same work, settings and seed give the same result."),
    )

    reranker = forms.BooleanField(required=False, label=RERANKER, help_text=RERANKER_HELP)

    def clean_seed(self) -> int:
        return self.cleaned_data["seed"] or 0

    def wanted(self) -> dict[str, Any]:
        """What `training_cycle.start` is asked for."""
        given = dict(self.cleaned_data)
        settings = training_runs.with_reranker({}, given.pop("reranker"))
        return given | {"settings": settings}


class PolicyForm(forms.ModelForm):
    only = forms.ChoiceField(required=False, choices=BOTH, label=_("What learns"))
    reranker = forms.BooleanField(required=False, label=RERANKER, help_text=RERANKER_HELP)

    class Meta:
        model = Policy
        fields = [
            "is_active",
            "min_new_queries",
            "min_hours_between",
            "only",
            "gate",
            "target_rule",
            "guardrail_rule",
            "guardrail_margin",
            "log_prob_margin",
            "min_judged",
            "max_rerank_ms",
        ]
        labels = {
            "is_active": _("Run automatically"),
            "min_new_queries": _("After so many newly settled queries"),
            "min_hours_between": _("At most every so many hours"),
            "gate": _("Then"),
            "target_rule": _("What the gate asks of the measure that was trained for"),
            "guardrail_rule": _("How a guardrail set is judged"),
            "guardrail_margin": _("Margin of the guardrails"),
            "log_prob_margin": _("Margin of the guardrails' answers"),
            "min_judged": _("Least share of judged passages"),
            "max_rerank_ms": _("Milliseconds a reranker may take"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reranker"].initial = training_runs.wants_reranker(self.instance.settings)


core_forms.FORMS["policy_changed"] = PolicyForm
