"""Forms of the judge page: one for each act, for key presses and plain forms alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.core.grades import CANNOT_TELL, GRADES

MAX_ID = 2**63 - 1  # of a row in SQLite and PostgreSQL

Span = tuple[int, int]


def _is_span(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(edge) is int for edge in value)
        and 0 <= value[0] < value[1]
    )


def _is_citation(value: object) -> bool:
    required, optional = {"sentence", "passage"}, {"evidence"}
    if not isinstance(value, dict) or not required <= value.keys() <= required | optional:
        return False
    evidence = value.get("evidence")
    has_types = isinstance(value["sentence"], str) and type(value["passage"]) is int
    return has_types and (evidence is None or _is_span(evidence))


class ListField(forms.JSONField):
    """A JSON list of items of one shape; None where it was not sent."""

    default_error_messages = {"shape": _("The list has an item of the wrong shape.")}

    def __init__(self, is_item: Callable[[object], bool], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self._is_item = is_item

    def to_python(self, value: Any) -> list[Any] | None:  # type: ignore[override]  # the stubs say str
        """Return the list. Raises ValidationError for an item of another shape."""
        items = value if isinstance(value, list) else super().to_python(value)
        if items is None:
            return None
        if not isinstance(items, list) or not all(self._is_item(item) for item in items):
            raise forms.ValidationError(self.error_messages["shape"], code="shape")
        return items

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the two lists differ."""
        return bool(initial != data)


class PassageForm(forms.Form):
    """The id of a passage."""

    passage = forms.IntegerField(min_value=1, max_value=MAX_ID)


class GradeForm(PassageForm):
    """A grade 0–3, x for "can't tell", or empty to clear the grade."""

    grade = forms.ChoiceField(choices=[(grade, grade) for grade in (*GRADES, CANNOT_TELL)], required=False)
    position = forms.IntegerField(min_value=1, max_value=32000, required=False)
    seconds = forms.FloatField(min_value=0, max_value=86400, required=False)
    evidence = ListField(_is_span)


class AnswerForm(forms.Form):
    """The answer with its citations and the spans that no passage supports."""

    text = forms.CharField(required=False, strip=False, max_length=100_000)
    citations = ListField(_is_citation)
    unsupported = ListField(_is_span)
    seconds = forms.FloatField(min_value=0, max_value=86400, required=False)

    def clean_text(self) -> str | None:
        """Return the text with the page's line ends: a plain form sends others, which would shift the spans."""
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")


class SubmitForm(AnswerForm):
    """A plain form sends the text along, so that it is never lost; the page's script has saved it before."""

    def clean_text(self) -> str | None:
        """Return the text; None where none was sent."""
        return super().clean_text() if "text" in self.data else None


class ValueForm(forms.Form):
    """A mark that is set or removed."""

    value = forms.BooleanField(required=False)


class CommentForm(forms.Form):
    """An optional comment."""

    comment = forms.CharField(max_length=2000, required=False)


class FlagForm(CommentForm):
    """A flag with its comment; `down` removes it."""

    down = forms.BooleanField(required=False)


class EmptyForm(forms.Form):
    """The form of acts that need only their URL."""


class ClaimForm(forms.Form):
    """The assignment on screen, where the one after it is claimed ahead."""

    beside = forms.IntegerField(min_value=1, required=False)


class SearchForm(forms.Form):
    """The words of a passage search."""

    q = forms.CharField(max_length=1000, required=False)
