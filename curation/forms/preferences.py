"""How one person likes to work: one field for each key of the judge page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.keymap import DEFAULTS, LABELS, is_key
from curation.models import Preferences


class PreferencesForm(forms.ModelForm):
    class Meta:
        model = Preferences
        fields = ["mark_words"]
        labels = {"mark_words": gettext_lazy("Mark the words of the question in the passages")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = self.instance.keys or {}
        for action, key in DEFAULTS.items():
            field = forms.CharField(label=LABELS[action], initial=own.get(action, key), max_length=20, strip=False)
            self.fields[f"key-{action}"] = field

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        taken: dict[str, str] = {}
        for action in DEFAULTS:
            key = fields.get(f"key-{action}")
            if key is None:
                continue
            if not is_key(key):
                self.add_error(f"key-{action}", _("One visible character, or a key like Enter or Backspace."))
            elif key in taken:
                other = {"action": str(LABELS[taken[key]])}
                self.add_error(f"key-{action}", _("This key is already for “%(action)s”.") % other)
            taken.setdefault(key, action)
        return fields

    def save(self, commit: bool = True) -> Preferences:
        """Only what differs from the defaults is kept, so that a better default reaches everybody else."""
        chosen = {action: self.cleaned_data[f"key-{action}"] for action in DEFAULTS}
        self.instance.keys = {action: key for action, key in chosen.items() if key != DEFAULTS[action]}
        saved: Preferences = super().save(commit)
        return saved

    def key_fields(self) -> list[forms.BoundField]:
        return [self[f"key-{action}"] for action in DEFAULTS]
