"""What a manager sends about one query."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

MOST_PEOPLE = 50


class OverlapForm(forms.Form):
    """Empty: as many people as the project says."""

    overlap = forms.IntegerField(
        label=_("People who judge it"),
        required=False,
        min_value=1,
        max_value=MOST_PEOPLE,
        help_text=_("Empty: as many as the project says."),
    )
