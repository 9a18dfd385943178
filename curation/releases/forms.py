"""What the release page sends."""

from __future__ import annotations

from django import forms


class RequeueForm(forms.Form):
    """One query that got worse; none is all of them."""

    query = forms.IntegerField(min_value=1, required=False)
