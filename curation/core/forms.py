"""What is looked for in a project's record."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _

from curation.core import labels
from curation.models import Project

# What a line of the record changed, by its verb: the form knows what the fields are called, and what a choice means.
FORMS: dict[str, type[forms.BaseForm]] = {}


class RecordForm(forms.Form):
    person = forms.ModelChoiceField(None, label=_("Who"), required=False, empty_label=_("everybody"))
    verb = forms.ChoiceField(label=_("What"), required=False)
    before = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = get_user_model().objects.filter(memberships__project=project).order_by("username")
        person, verb = self.fields["person"], self.fields["verb"]
        assert isinstance(person, forms.ModelChoiceField) and isinstance(verb, forms.ChoiceField)
        person.queryset = people
        verb.choices = [("", _("everything")), *labels.verbs()]
