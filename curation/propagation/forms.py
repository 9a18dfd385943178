"""What the page of suggested grades sends."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

CONFIRM, REFUSE, TAKE_BACK = "confirm", "refuse", "take_back"
MOST = 500


class DecideForm(forms.Form):
    """Which suggested grades, and what becomes of them."""

    offers = forms.TypedMultipleChoiceField(coerce=int, error_messages={"required": _("Choose at least one grade.")})
    decision = forms.ChoiceField(choices=[(name, name) for name in (CONFIRM, REFUSE, TAKE_BACK)])

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        sent = self.data.getlist("offers") if hasattr(self.data, "getlist") else []
        # Any number is taken: one that is not the project's, or has been decided, changes nothing.
        self.fields["offers"].choices = [(one, one) for one in sent[:MOST] if one.isdecimal()]
