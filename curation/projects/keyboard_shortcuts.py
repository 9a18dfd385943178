"""The keys of the judge page: what each does by default, and what one person made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

DEFAULTS = {
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

LABELS: dict[str, str | Promise] = {
    "grade0": _("Grade 0 and move on"),
    "grade1": _("Grade 1 and move on"),
    "grade2": _("Grade 2 and move on"),
    "grade3": _("Grade 3 and move on"),
    "cannot_tell": _("Can't tell, and move on"),
    "next": _("Next passage (also ↓)"),
    "previous": _("Previous passage (also ↑)"),
    "edit": _("Edit the answer; Esc leaves it"),
    "submit": _("Submit and show the next"),
    "undo": _("Undo, any number of steps, over the submit too"),
    "search": _("Search the corpus and add a passage"),
    "unanswerable": _("The corpus holds no answer"),
    "flag": _("Flag with a comment"),
    "skip": _("Skip with a reason"),
    "fold": _("Open or fold a long passage"),
    "mark": _("Mark the selected text, or sentence by sentence, as evidence"),
    "cite": _("Cite the passage for the chosen sentence"),
    "panel": _("Changes, sources, preview"),
    "words": _("Mark the words of the question, or not"),
    "guidelines": _("Open or close the guidelines"),
    "help": _("Show the keys"),
}

RESERVED = ("Escape", "Tab", "ArrowUp", "ArrowDown", "Shift", "Control", "Alt", "Meta", " ")
NAMED = ("Enter", "Backspace", "Delete", "Home", "End", "PageUp", "PageDown", "ArrowLeft", "ArrowRight", "Insert")


@dataclass(frozen=True)
class Binding:
    """One action with its key."""

    action: str
    label: str | Promise
    key: str

    @property
    def shown(self) -> str:
        return {"Enter": "⏎", "ArrowLeft": "←", "ArrowRight": "→", "Backspace": "⌫"}.get(self.key, self.key)


def keys_of(own: Mapping[str, str] | None) -> dict[str, str]:
    """Action → key of a person whose own choices are given; unknown actions are left out."""
    return DEFAULTS | {action: key for action, key in (own or {}).items() if action in DEFAULTS}


def bindings(keys: Mapping[str, str]) -> list[Binding]:
    """Every action with its label and key, in the order of the help page."""
    return [Binding(action, LABELS[action], keys[action]) for action in DEFAULTS]


def is_key(key: str) -> bool:
    """Whether a person may choose this key: one visible character, or a named key that is not reserved."""
    return key in NAMED or (len(key) == 1 and key.isprintable() and key not in RESERVED)
