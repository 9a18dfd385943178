"""Forms of the guardrail sets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.core import forms as core_forms
from curation.models import Project
from tuning.models import GuardrailSet

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm


class GuardrailSetForm(ModelForm):
    """The changeable settings of a guardrail set. Its questions never change."""

    class Meta:
        model = GuardrailSet
        fields = ["is_active", "margin"]
        labels = {"is_active": _("Used in every evaluation"), "margin": _("Margin")}


class NewGuardrailSetForm(forms.Form):
    """A new guardrail set: from another project, or from files."""

    MAX_BYTES = 50 * 1024 * 1024  # of one file

    name = forms.SlugField(max_length=60, label=_("Name"), help_text=_("Letters, digits, hyphens."))
    margin = forms.FloatField(min_value=0, max_value=1, initial=0.03, label=_("Margin"))
    source = forms.ModelChoiceField(
        Project.objects.none(),
        required=False,
        label=_("Resolved work of another project"),
        empty_label=_("none: use the files below"),
    )
    queries = forms.FileField(required=False, label="queries.jsonl")
    corpus = forms.FileField(required=False, label="corpus.jsonl")
    qrels = forms.FileField(required=False, label="qrels.tsv")
    answers = forms.FileField(required=False, label="answers.jsonl")

    def __init__(self, *args: Any, sources: Iterable[Project] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["source"]
        field.queryset = Project.objects.filter(pk__in=[project.pk for project in sources]).order_by("name")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        uploads = [name for name in ("queries", "corpus", "qrels", "answers") if data.get(name)]
        if bool(data.get("source")) == bool(uploads):
            raise forms.ValidationError(_("Choose either another project or files."))
        if uploads and not ("queries" in uploads and ("answers" in uploads or {"corpus", "qrels"} <= set(uploads))):
            raise forms.ValidationError(_("Needed: queries.jsonl, and answers.jsonl or corpus.jsonl with qrels.tsv."))
        if any(data[name].size > self.MAX_BYTES for name in uploads):
            raise forms.ValidationError(_("A file may be at most 50 MB."))
        return data


core_forms.FORMS_BY_VERB["guard_changed"] = GuardrailSetForm
