"""Forms of the datasets pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.core import forms as core_forms
from retrieval.models import Corpus

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm


class LicenceForm(ModelForm):
    class Meta:
        model = Corpus
        fields = ["licence"]
        labels = {"licence": _("Licence")}


core_forms.FORMS_BY_VERB["licence_changed"] = LicenceForm
