"""Forms of the learning curves."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from tuning.models import COMPONENTS


class StartCurveForm(forms.Form):
    component = forms.ChoiceField(choices=COMPONENTS, label=_("Component"))
    minutes = forms.FloatField(
        min_value=0.1, max_value=600, initial=5, label=_("Minutes for each training"), help_text=_("At most.")
    )
    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0, required=False, label=_("Seed"))

    def clean_seed(self) -> int:
        return self.cleaned_data["seed"] or 0
