"""Messages that are stored as a code with arguments, and rendered in the language of the reader.

A worker has no language of its own. A row that kept rendered text would show everybody the worker's language. Each
app registers the texts of its codes when it starts. Errors of libraries and of other processes have no code, and
neither have rows that were written before there were codes: their text is stored and shown unchanged. Rows outlive
the program, so a code keeps its arguments for good; a message with other arguments gets a new code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# A format string with %(name)s placeholders, or a function that is called with the arguments.
MessageText = str | Promise | Callable[..., str]

_TEXTS: dict[str, MessageText] = {}


def register_messages(texts: Mapping[str, MessageText]) -> None:
    """Register the text of each message code. Raises ValueError for a code that has another text already."""
    for code, text in texts.items():
        if _TEXTS.setdefault(code, text) is not text:
            raise ValueError(f"the message code {code} is registered already")


def registered_messages() -> Mapping[str, MessageText]:
    """Return every registered code with its text."""
    return _TEXTS


@dataclass(frozen=True)
class Message:
    """A message code with its arguments; str() renders it in the active language.

    args: JSON values, other messages, and lists of these.
    """

    code: str
    args: Mapping[str, Any]

    def __str__(self) -> str:
        text = _TEXTS[self.code]
        args = {name: _rendered(value) for name, value in self.args.items()}
        return text(**args) if callable(text) and not isinstance(text, Promise) else str(text % args)

    def __contains__(self, text: str) -> bool:
        return text in str(self)

    def to_json(self) -> dict[str, Any]:
        """Return the message as JSON stores it; `from_json` is the inverse."""
        return {"code": self.code, "args": {name: _to_json(value) for name, value in self.args.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the message that `to_json` wrote."""
        return cls(data["code"], {name: _from_json(value) for name, value in data["args"].items()})


StrOrMessage = str | Message


def message(code: str, **args: Any) -> Message:
    """Return a message to be stored.

    Raises KeyError for a code that is not registered, and where the text names an argument that is missing.
    """
    new = Message(code, args)
    str(new)
    return new


def message_of_error(error: BaseException) -> StrOrMessage:
    """Return the message an error was raised with, or its own text when it has none."""
    return error.args[0] if len(error.args) == 1 and isinstance(error.args[0], Message) else str(error)


def message_to_json(value: StrOrMessage) -> str | dict[str, Any]:
    """Return a text or a message as JSON stores it."""
    return value.to_json() if isinstance(value, Message) else value


def message_from_json(value: Any) -> Any:
    """Return the message that is stored as `value`; any other value, also one of an unknown code, is unchanged."""
    return Message.from_json(value) if _is_message(value) else value


if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

    _TextField = models.TextField[StrOrMessage | Combinable, StrOrMessage]
else:
    _TextField = models.TextField


class MessageField(_TextField):
    """A text column that stores a message as JSON and returns it as a `Message`; plain text stays plain text."""

    def from_db_value(self, value: str | None, expression: object, connection: object) -> StrOrMessage | None:
        stored: StrOrMessage | None = self.to_python(value)
        return stored

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith('{"code": '):
            return value
        try:
            stored = message_from_json(json.loads(value))
        except ValueError:
            return value
        return stored if isinstance(stored, Message) else value

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Message):
            return json.dumps(value.to_json(), ensure_ascii=False)
        return super().get_prep_value(value)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.get_prep_value(self.value_from_object(obj)))


def _is_message(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"code", "args"}:
        return False
    return isinstance(value["code"], str) and value["code"] in _TEXTS and isinstance(value["args"], dict)


def _to_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    return message_to_json(value)


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return message_from_json(value)


def _rendered(value: Any) -> Any:
    if isinstance(value, list):
        return [_rendered(item) for item in value]
    return str(value) if isinstance(value, Message) else value


def _join(parts: list[str]) -> str:
    return " ".join(part for part in parts if part)


register_messages(
    {
        "together": _join,
        "reading": _("reading passages"),
        "embedding": _("embedding"),
        "indexing_words": _("building the lexical index"),
        "checking_build": _("verifying"),
        "no_passages": _("%(corpus)s has no passages to index"),
        "build_lost": _("%(build)s was cancelled, or another worker took it over after a missing heartbeat"),
        "build_unfinished": _("%(build)s is not finished"),
        "build_retired": _("%(build)s was retired and its files were deleted"),
        "interrupted": _("interrupted"),
        "worker_silent": _("Worker stopped responding"),
    }
)
