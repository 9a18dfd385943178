"""What the ask and queries pages send."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from curation.models import Query

LONGEST_QUESTION = 2000


class AskForm(forms.Form):
    text = forms.CharField(
        label=_("Your question"),
        max_length=LONGEST_QUESTION,
        widget=forms.Textarea(
            attrs={
                "rows": 2,
                "autofocus": True,
                "placeholder": _("What would you like to know?"),
                "autocomplete": "off",
            }
        ),
        error_messages={"required": _("Type a question first.")},
    )


class QueryFilterForm(forms.Form):
    """Which queries to list; what is not understood filters nothing."""

    q = forms.CharField(required=False, max_length=200, label=_("Find"))
    state = forms.ChoiceField(
        required=False, choices=[("", pgettext_lazy("queries", "All")), *Query.State.choices], label=_("State")
    )


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
