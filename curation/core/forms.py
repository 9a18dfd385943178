"""Filters of the audit log."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _

from curation.core import labels
from curation.models import Project

# Event verb → the form whose fields the event changed. The audit log shows the form's labels and choices.
FORMS_BY_VERB: dict[str, type[forms.BaseForm]] = {}


class AuditLogForm(forms.Form):
    """Which events to list. before: the pk of the last event on the page before."""

    person: forms.ModelChoiceField[Any] = forms.ModelChoiceField(
        None, label=_("Who"), required=False, empty_label=_("everybody")
    )
    verb = forms.ChoiceField(label=_("What"), required=False)
    before = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members = get_user_model().objects.filter(memberships__project=project).order_by("username")
        person, verb = self.fields["person"], self.fields["verb"]
        assert isinstance(person, forms.ModelChoiceField) and isinstance(verb, forms.ChoiceField)
        person.queryset = members
        verb.choices = [("", _("everything")), *labels.verb_choices()]
