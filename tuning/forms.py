"""What the runs and policy pages send."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from tuning.models import Gate, Part, Policy

BOTH = [("", _("both halves")), *Part.choices]


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

    def clean_seed(self) -> int:
        return self.cleaned_data["seed"] or 0


class PolicyForm(forms.ModelForm):
    only = forms.ChoiceField(required=False, choices=BOTH, label=_("What learns"))

    class Meta:
        model = Policy
        fields = [
            "is_active",
            "least_new_queries",
            "most_every_hours",
            "only",
            "gate",
            "guard_margin",
            "least_judged",
        ]
        labels = {
            "is_active": _("Turn by itself"),
            "least_new_queries": _("After so many newly settled queries"),
            "most_every_hours": _("At most every so many hours"),
            "gate": _("Then"),
            "guard_margin": _("Margin of the guards"),
            "least_judged": _("Least share of judged passages"),
        }
