"""Forms of training cycles: the start of a cycle, and the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.core import forms as core_forms
from tuning.models import COMPONENTS, Gate, Policy
from tuning.training import training_runs

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm

BOTH = [("", _("retriever and generator")), *COMPONENTS]
RERANKER = _("Train a reranker after the retriever")
RERANKER_HELP = _("Kept only if the quality gain is significant and latency is within the limit.")


class StartForm(forms.Form):
    only = forms.ChoiceField(required=False, choices=BOTH, label=_("Train"))
    gate = forms.ChoiceField(choices=Gate.choices, initial=Gate.AUTO, label=_("After evaluation"))
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

    def start_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments for `training_cycle.start`."""
        arguments = dict(self.cleaned_data)
        settings = training_runs.with_reranker({}, arguments.pop("reranker"))
        return arguments | {"settings": settings}


class PolicyForm(ModelForm):
    only = forms.ChoiceField(required=False, choices=BOTH, label=_("Train"))
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
            "min_new_queries": _("Minimum of newly resolved queries"),
            "min_hours_between": _("Minimum hours between cycles"),
            "gate": _("After evaluation"),
            "target_rule": _("Promotion rule for the target metric"),
            "guardrail_rule": _("Check of the guardrail metrics"),
            "guardrail_margin": _("Margin of the guardrail metrics"),
            "log_prob_margin": _("Margin of the log-probability on guardrail sets"),
            "min_judged": _("Minimum judged@10"),
            "max_rerank_ms": _("Maximum latency of the reranker (ms)"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reranker"].initial = training_runs.is_reranker_enabled(self.instance.settings)


core_forms.FORMS_BY_VERB["policy_changed"] = PolicyForm
