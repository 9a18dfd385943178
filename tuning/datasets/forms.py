"""Forms of the datasets."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.core import forms as core_forms
from retrieval.models import Corpus


class LicenceForm(forms.ModelForm):
    class Meta:
        model = Corpus
        fields = ["licence"]
        labels = {"licence": _("Licence")}


core_forms.FORMS["licence_changed"] = LicenceForm
