"""Sentences that rows keep: a code with its arguments, read in the language of whoever reads them.

A worker writes in no language: were the row to keep its words, everybody would read them in the worker's. Each app
teaches the words of its own codes when it starts. An error of a library or of another process has only its own
words, and so has a row written before there were codes; those are kept and shown as they are. Rows outlive the
program: a code keeps its arguments for good, and what is to be said otherwise gets a new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Words = str | Promise | Callable[..., str]  # filled in by %(name)s, or asked with the arguments

_WORDS: dict[str, Words] = {}


def teach(words: Mapping[str, Words]) -> None:
    """Make codes known. Raises ValueError for one that already means something else."""
    for code, said in words.items():
        if _WORDS.setdefault(code, said) is not said:
            raise ValueError(f"the code {code} has words already")


def known() -> Mapping[str, Words]:
    """Every code with its words."""
    return _WORDS


@dataclass(frozen=True)
class Sentence:
    """What is said, as a code with its arguments; str() is its words in the language that is active then.

    args: JSON values, other sentences, and lists of these.
    """

    code: str
    args: Mapping[str, Any]

    def __str__(self) -> str:
        words = _WORDS[self.code]
        args = {name: _spoken(value) for name, value in self.args.items()}
        return words(**args) if callable(words) and not isinstance(words, Promise) else str(words % args)

    def __contains__(self, words: str) -> bool:
        return words in str(self)

    def stored(self) -> dict[str, Any]:
        """As JSON keeps it; `read` is the way back."""
        return {"code": self.code, "args": {name: _stored(value) for name, value in self.args.items()}}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """The sentence of what `stored` gave."""
        return cls(stored["code"], {name: _read(value) for name, value in stored["args"].items()})


Said = str | Sentence


def say(code: str, **args: Any) -> Sentence:
    """A sentence to be kept. Raises KeyError for a code without words, or words that miss an argument."""
    sentence = Sentence(code, args)
    str(sentence)
    return sentence


def of_error(error: BaseException) -> Said:
    """What an error says: its sentence where it was raised with one, else its own words."""
    return error.args[0] if len(error.args) == 1 and isinstance(error.args[0], Sentence) else str(error)


def stored(said: Said) -> str | dict[str, Any]:
    """Words or a sentence as JSON keeps them."""
    return said.stored() if isinstance(said, Sentence) else said


def read(value: Any) -> Any:
    """A sentence where the value is what one is stored as; anything else as it is, a code nobody knows included."""
    return Sentence.of(value) if _is_stored(value) else value


if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

    _TextField = models.TextField[Said | Combinable, Said]
else:
    _TextField = models.TextField


class SentenceField(_TextField):
    """A column of words that holds a sentence as JSON, and gives it back as one; other words stay what they are."""

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Said | None:
        found: Said | None = self.to_python(value)
        return found

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith('{"code": '):
            return value
        try:
            found = read(json.loads(value))
        except ValueError:
            return value
        return found if isinstance(found, Sentence) else value

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sentence):
            return json.dumps(value.stored(), ensure_ascii=False)
        return super().get_prep_value(value)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))


def _is_stored(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"code", "args"}:
        return False
    return isinstance(value["code"], str) and value["code"] in _WORDS and isinstance(value["args"], dict)


def _stored(value: Any) -> Any:
    if isinstance(value, list):
        return [_stored(one) for one in value]
    return stored(value)


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(one) for one in value]
    return read(value)


def _spoken(value: Any) -> Any:
    if isinstance(value, list):
        return [_spoken(one) for one in value]
    return str(value) if isinstance(value, Sentence) else value


def _together(parts: list[str]) -> str:
    return " ".join(part for part in parts if part)


teach(
    {
        "together": _together,
        "reading": _("reading"),
        "embedding": _("embedding"),
        "indexing_words": _("indexing words"),
        "checking_build": _("checking"),
        "no_passages": _("%(corpus)s has no passages to index"),
        "build_lost": _("%(build)s is no longer this worker's"),
        "build_unfinished": _("%(build)s is not finished"),
        "build_retired": _("%(build)s was retired"),
        "interrupted": _("interrupted"),
        "worker_silent": _("its worker fell silent"),
    }
)
