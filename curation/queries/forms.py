"""Forms of the ask page and the query list."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from curation.models import Query

MAX_QUERY_CHARS = 2000


class AskForm(forms.Form):
    """A question in a person's own words."""

    text = forms.CharField(
        label=_("Your question"),
        max_length=MAX_QUERY_CHARS,
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
    """The filters of the query list. An invalid value filters nothing."""

    q = forms.CharField(required=False, max_length=200, label=_("Find"))
    state = forms.ChoiceField(
        required=False, choices=[("", pgettext_lazy("queries", "All")), *Query.State.choices], label=_("State")
    )
