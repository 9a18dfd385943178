"""Form of the annotation room beside the judge page."""

from __future__ import annotations

from django import forms


class RequeueForm(forms.Form):
    """One query that got worse. Empty: all of them."""

    query = forms.IntegerField(min_value=1, required=False)
