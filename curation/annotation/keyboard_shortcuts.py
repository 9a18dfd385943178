"""Keyboard shortcuts of the judge page: the default keys, and the keys that a person chose instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

DEFAULT_KEYS = {
    "grade0": "0",
    "grade1": "1",
    "grade2": "2",
    "grade3": "3",
    "cannot_tell": "x",
    "next": "j",
    "previous": "k",
    "edit": "e",
    "submit": "Enter",
    "undo": "u",
    "search": "/",
    "unanswerable": "n",
    "flag": "f",
    "skip": "s",
    "fold": "o",
    "mark": "m",
    "cite": "c",
    "panel": "p",
    "words": "w",
    "guidelines": "g",
    "help": "?",
}

ACTION_LABELS: dict[str, str | Promise] = {
    "grade0": _("Grade 0 and move on"),
    "grade1": _("Grade 1 and move on"),
    "grade2": _("Grade 2 and move on"),
    "grade3": _("Grade 3 and move on"),
    "cannot_tell": _("Can't tell, and move on"),
    "next": _("Next passage (also ↓)"),
    "previous": _("Previous passage (also ↑)"),
    "edit": _("Edit the answer; Esc leaves it"),
    "submit": _("Submit and show the next"),
    "undo": _("Undo, step by step, the submit included"),
    "search": _("Add a missing passage"),
    "unanswerable": _("No answer in corpus"),
    "flag": _("Flag with a comment"),
    "skip": _("Skip, with an optional reason"),
    "fold": _("Expand or collapse a long passage"),
    "mark": _("Mark the selection, or one sentence after another, as evidence"),
    "cite": _("Cite the passage for the selected sentence"),
    "panel": _("Changes, sources, preview"),
    "words": _("Highlight the words of the query, or not"),
    "guidelines": _("Open or close the guidelines"),
    "help": _("Show the keyboard shortcuts"),
}

RESERVED_KEYS = ("Escape", "Tab", "ArrowUp", "ArrowDown", "Shift", "Control", "Alt", "Meta", " ")
NAMED_KEYS = ("Enter", "Backspace", "Delete", "Home", "End", "PageUp", "PageDown", "ArrowLeft", "ArrowRight", "Insert")


@dataclass(frozen=True)
class Binding:
    """An action of the judge page with its key."""

    action: str
    label: str | Promise
    key: str

    @property
    def shown(self) -> str:
        return {"Enter": "⏎", "ArrowLeft": "←", "ArrowRight": "→", "Backspace": "⌫"}.get(self.key, self.key)


def merge_keys(own: Mapping[str, str] | None) -> dict[str, str]:
    """Return action → key: the person's own keys in place of the defaults. Unknown actions are left out."""
    return DEFAULT_KEYS | {action: key for action, key in (own or {}).items() if action in DEFAULT_KEYS}


def list_bindings(keys: Mapping[str, str]) -> list[Binding]:
    """Return every action with its label and key, in the order of the help page."""
    return [Binding(action, ACTION_LABELS[action], keys[action]) for action in DEFAULT_KEYS]


def is_key(key: str) -> bool:
    """Whether a person may choose this key: one visible character, or one of NAMED_KEYS."""
    return key in NAMED_KEYS or (len(key) == 1 and key.isprintable() and key not in RESERVED_KEYS)
