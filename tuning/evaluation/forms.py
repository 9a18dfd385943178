"""Forms of the guardrail sets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.core import forms as core_forms
from curation.models import Project
from tuning.models import GuardrailSet


class GuardrailSetForm(forms.ModelForm):
    """What of a guardrail set may be changed: its questions never."""

    class Meta:
        model = GuardrailSet
        fields = ["is_active", "margin"]
        labels = {"is_active": _("Asked at every measurement"), "margin": _("Margin")}


class NewGuardrailSetForm(forms.Form):
    """A guardrail set to be: of another project, or of files."""

    MOST_BYTES = 50 * 1024 * 1024  # of one file

    name = forms.SlugField(max_length=60, label=_("Name"), help_text=_("Letters, digits, hyphens."))
    margin = forms.FloatField(min_value=0, max_value=1, initial=0.03, label=_("Margin"))
    source = forms.ModelChoiceField(
        Project.objects.none(),
        required=False,
        label=_("Another project's settled work"),
        empty_label=_("none: the files below"),
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
        found: dict[str, Any] = super().clean() or {}
        sent = [name for name in ("queries", "corpus", "qrels", "answers") if found.get(name)]
        if bool(found.get("source")) == bool(sent):
            raise forms.ValidationError(_("Choose another project, or files: one of the two."))
        if sent and not ("queries" in sent and ("answers" in sent or {"corpus", "qrels"} <= set(sent))):
            raise forms.ValidationError(_("Needed: queries.jsonl, and answers.jsonl or corpus.jsonl with qrels.tsv."))
        if any(found[name].size > self.MOST_BYTES for name in sent):
            raise forms.ValidationError(_("A file may be 50 MB large at most."))
        return found


core_forms.FORMS["guard_changed"] = GuardrailSetForm
