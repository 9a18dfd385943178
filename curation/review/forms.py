"""What the review pages send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

KEEP = ""


class SettleForm(forms.Form):
    """A decision: a grade for each passage that is not left to the consensus, and the answer."""

    answer = forms.CharField(required=False, max_length=100_000, widget=forms.Textarea, label=_("The settled answer"))
    is_unanswerable = forms.BooleanField(required=False, label=_("The corpus holds no answer"))
    comment = forms.CharField(required=False, max_length=2000, label=_("Why, for the record"))

    def __init__(self, data: Any = None, *, passages: Iterable[int], **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self._passages = list(passages)
        for pk in self._passages:
            choices = [(KEEP, _("as the consensus has it")), *((str(grade), str(grade)) for grade in range(4))]
            self.fields[f"grade-{pk}"] = forms.ChoiceField(choices=choices, required=False)

    def grades(self) -> dict[int, float]:
        """Passage → the reviewer's grade, without those left to the consensus."""
        given = {pk: self.cleaned_data[f"grade-{pk}"] for pk in self._passages}
        return {pk: float(grade) for pk, grade in given.items() if grade != KEEP}


class ReturnForm(forms.Form):
    assignment = forms.IntegerField(min_value=1)
    comment = forms.CharField(max_length=2000, label=_("What should they look at again?"))


class ReopenForm(forms.Form):
    comment = forms.CharField(required=False, max_length=300, label=_("Why should it be opened again?"))
