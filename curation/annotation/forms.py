"""What the judge page sends: one form for each act, for key presses and plain posts alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

CANNOT_TELL = "x"
GRADES = ["0", "1", "2", "3", CANNOT_TELL]

Span = tuple[int, int]


def _is_span(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(edge) is int for edge in value)
        and 0 <= value[0] < value[1]
    )


def _is_citation(value: object) -> bool:
    if not isinstance(value, dict) or not {"sentence", "passage"} <= value.keys() <= {
        "sentence",
        "passage",
        "evidence",
    }:
        return False
    evidence = value.get("evidence")
    is_known = isinstance(value["sentence"], str) and type(value["passage"]) is int
    return is_known and (evidence is None or _is_span(evidence))


class ListField(forms.JSONField):
    """A JSON list of items of one shape; None when it was not sent."""

    default_error_messages = {"shape": _("This is not a list of what belongs here.")}

    def __init__(self, is_item: Callable[[object], bool], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self._is_item = is_item

    def to_python(self, value: Any) -> list[Any] | None:
        found = value if isinstance(value, list) else super().to_python(value)
        if found is None:
            return None
        if not isinstance(found, list) or not all(self._is_item(item) for item in found):
            raise forms.ValidationError(self.error_messages["shape"], code="shape")
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(initial != data)


class GradeForm(forms.Form):
    """A grade 0–3, x for can't tell, or nothing to take the grade away."""

    passage = forms.IntegerField(min_value=1)
    grade = forms.ChoiceField(choices=[(grade, grade) for grade in GRADES], required=False)
    position = forms.IntegerField(min_value=1, max_value=32000, required=False)
    seconds = forms.FloatField(min_value=0, max_value=86400, required=False)
    evidence = ListField(_is_span)


class AnswerForm(forms.Form):
    text = forms.CharField(required=False, strip=False, max_length=100_000)
    citations = ListField(_is_citation)
    unsupported = ListField(_is_span)
    seconds = forms.FloatField(min_value=0, max_value=86400, required=False)

    def clean_text(self) -> str:
        """Lines end as they do in the page, so that spans keep their places."""
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")


class SubmitForm(AnswerForm):
    """A plain form sends the text along, so that what was typed is never lost; a page has saved it before."""

    def clean_text(self) -> str | None:  # type: ignore[override]
        return super().clean_text() if "text" in self.data else None


class SwitchForm(forms.Form):
    """Something that is or is not so."""

    value = forms.BooleanField(required=False)


class CommentForm(forms.Form):
    comment = forms.CharField(max_length=2000, required=False)


class FlagForm(CommentForm):
    """A flag with its comment; `down` takes it away."""

    down = forms.BooleanField(required=False)


class PassageForm(forms.Form):
    passage = forms.IntegerField(min_value=1)


class NothingForm(forms.Form):
    """For acts that need no more than their address."""


class ClaimForm(forms.Form):
    """The assignment on screen, when the one after it is wanted."""

    beside = forms.IntegerField(min_value=1, required=False)


class SearchForm(forms.Form):
    q = forms.CharField(max_length=1000, required=False)
