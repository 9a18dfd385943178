"""What the runs and policy pages send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.core import forms as core_forms
from curation.models import Project
from retrieval.models import Corpus
from tuning.models import HALVES, Gate, GuardSet, Policy
from tuning.training import training_runs

BOTH = [("", _("both halves")), *HALVES]
RERANKER = _("Train a reranker after the retriever")
RERANKER_HELP = _("It stays only where it is measured to pay for its milliseconds.")


class StartForm(forms.Form):
    only = forms.ChoiceField(required=False, choices=BOTH, label=_("What learns"))
    gate = forms.ChoiceField(choices=Gate.choices, initial=Gate.AUTO, label=_("Then"))
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        initial=0,
        required=False,
        label=_("Seed"),
        help_text=_("The same work, settings and seed give the same result."),
    )

    reranker = forms.BooleanField(required=False, label=RERANKER, help_text=RERANKER_HELP)

    def clean_seed(self) -> int:
        return self.cleaned_data["seed"] or 0

    def wanted(self) -> dict[str, Any]:
        """What `turning.start` is asked for."""
        given = dict(self.cleaned_data)
        settings = training_runs.with_reranker({}, given.pop("reranker"))
        return given | {"settings": settings}


class LicenceForm(forms.ModelForm):
    class Meta:
        model = Corpus
        fields = ["licence"]
        labels = {"licence": _("Licence")}


class LearnForm(forms.Form):
    part = forms.ChoiceField(choices=HALVES, label=_("What learns"))
    minutes = forms.FloatField(
        min_value=0.1, max_value=600, initial=5, label=_("Minutes for each training"), help_text=_("At the most.")
    )
    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0, required=False, label=_("Seed"))

    def clean_seed(self) -> int:
        return self.cleaned_data["seed"] or 0


class PolicyForm(forms.ModelForm):
    only = forms.ChoiceField(required=False, choices=BOTH, label=_("What learns"))
    reranker = forms.BooleanField(required=False, label=RERANKER, help_text=RERANKER_HELP)

    class Meta:
        model = Policy
        fields = [
            "is_active",
            "least_new_queries",
            "most_every_hours",
            "only",
            "gate",
            "asks",
            "guard_rule",
            "guard_margin",
            "log_margin",
            "least_judged",
            "most_rerank_ms",
        ]
        labels = {
            "is_active": _("Turn by itself"),
            "least_new_queries": _("After so many newly settled queries"),
            "most_every_hours": _("At most every so many hours"),
            "gate": _("Then"),
            "asks": _("What the gate asks of the measure that was trained for"),
            "guard_rule": _("How a guard is judged"),
            "guard_margin": _("Margin of the guards"),
            "log_margin": _("Margin of the guards' answers"),
            "least_judged": _("Least share of judged passages"),
            "most_rerank_ms": _("Milliseconds a reranker may take"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reranker"].initial = training_runs.wants_reranker(self.instance.settings)


class GuardForm(forms.ModelForm):
    """What of a guard set may be changed: its questions never."""

    class Meta:
        model = GuardSet
        fields = ["is_active", "margin"]
        labels = {"is_active": _("Asked at every measurement"), "margin": _("Margin")}


class NewGuardForm(forms.Form):
    """A guard set to be: of another project, or of files."""

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


core_forms.FORMS.update(policy_changed=PolicyForm, guard_changed=GuardForm, licence_changed=LicenceForm)
