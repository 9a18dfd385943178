"""What the page of a project's people sends."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from curation.models import Membership

MOST_A_DAY = 100_000
NO_LIMIT = _("0 is no limit.")


class MemberForm(forms.Form):
    """One member's row; each has a prefix of its own."""

    role = forms.ChoiceField(label=_("Role"), choices=Membership.Role)
    daily_quota = forms.IntegerField(label=_("Most a day"), min_value=0, max_value=MOST_A_DAY, help_text=NO_LIMIT)
    is_paused = forms.BooleanField(label=_("Paused"), required=False)

    @classmethod
    def of(cls, membership: Membership, sent: Any = None) -> MemberForm:
        fields = {name: getattr(membership, name) for name in ("role", "daily_quota", "is_paused")}
        return cls(sent, initial=fields, prefix=f"m{membership.pk}")


class NewMemberForm(forms.Form):
    username = forms.CharField(
        label=_("Login name"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    role = forms.ChoiceField(label=_("Role"), choices=Membership.Role)
    daily_quota = forms.IntegerField(
        label=_("Most a day"), min_value=0, max_value=MOST_A_DAY, initial=0, help_text=NO_LIMIT
    )

    def clean_username(self) -> User:
        """The person who signs in by that name."""
        found: User | None = get_user_model().objects.filter(username=self.cleaned_data["username"]).first()
        if found is None or not found.is_active:
            raise forms.ValidationError(_("Nobody signs in by that name."))
        return found
