"""Forms of the review pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

USE_CONSENSUS = ""


class ResolveForm(forms.Form):
    """A reviewer's decision: the answer, and a grade for each passage that does not keep the consensus."""

    answer = forms.CharField(required=False, max_length=100_000, widget=forms.Textarea, label=_("Resolved answer"))
    is_unanswerable = forms.BooleanField(required=False, label=_("No answer in corpus"))
    comment = forms.CharField(required=False, max_length=2000, label=_("Note"))

    def __init__(self, data: Any = None, *, passages: Iterable[int], **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self._passages = list(passages)
        for pk in self._passages:
            choices = [(USE_CONSENSUS, _("Consensus")), *((str(grade), str(grade)) for grade in range(4))]
            self.fields[f"grade-{pk}"] = forms.ChoiceField(choices=choices, required=False)

    def grades(self) -> dict[int, float]:
        """Return passage id → the reviewer's grade, without passages that keep the consensus."""
        values = {pk: self.cleaned_data[f"grade-{pk}"] for pk in self._passages}
        return {pk: float(value) for pk, value in values.items() if value != USE_CONSENSUS}


class SendBackForm(forms.Form):
    """Whose work is sent back, with a comment."""

    assignment = forms.IntegerField(min_value=1)
    comment = forms.CharField(max_length=2000, label=_("Comment for the annotator"))


class ReopenForm(forms.Form):
    """Why a settled query is reopened."""

    comment = forms.CharField(required=False, max_length=300, label=_("Reason for reopening (optional)"))
