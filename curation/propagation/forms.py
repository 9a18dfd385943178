"""Form of the page of suggested grades."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

CONFIRM, REJECT, UNDO = "confirm", "reject", "undo"
MAX_SUGGESTIONS = 500


class DecideForm(forms.Form):
    """Which suggested grades, and the decision on them."""

    suggestions = forms.TypedMultipleChoiceField(
        coerce=int, error_messages={"required": _("Choose at least one grade.")}
    )
    decision = forms.ChoiceField(choices=[(name, name) for name in (CONFIRM, REJECT, UNDO)])

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        # Every number is accepted here: one of another project, or already decided, changes nothing.
        sent = data.getlist("suggestions") if hasattr(data, "getlist") else []
        choices = [(value, value) for value in sent[:MAX_SUGGESTIONS] if value.isdecimal()]
        self.fields["suggestions"].choices = choices  # type: ignore[attr-defined]
