"""What the settings page sends."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.core import forms as core_forms
from curation.models import Judgement, Membership, Preferences, Project
from curation.projects.keyboard_shortcuts import DEFAULTS, LABELS, is_key


class ProjectForm(forms.ModelForm):
    class Meta:
        model = Project
        fields = [
            "name",
            "language",
            "description",
            "overlap",
            "pool_depth",
            "lease_seconds",
            "review_gap",
            "visibility",
            "random_share",
            "gold_rate",
            "gold_feedback",
            "propagates_grades",
            "re_annotates_edits",
        ]
        labels = {
            "name": gettext_lazy("Name"),
            "language": gettext_lazy("Language of the corpus"),
            "description": gettext_lazy("Description"),
            "overlap": gettext_lazy("People per query"),
            "pool_depth": gettext_lazy("Passages per query"),
            "lease_seconds": gettext_lazy("Lease in seconds"),
            "review_gap": gettext_lazy("Gap that goes to review"),
            "visibility": gettext_lazy("Show others' grades"),
            "random_share": gettext_lazy("Random share of the queue"),
            "gold_rate": gettext_lazy("Share of gold questions"),
            "gold_feedback": gettext_lazy("Feedback on gold questions"),
            "propagates_grades": gettext_lazy("Offer grades to near-duplicates"),
            "re_annotates_edits": gettext_lazy("Judge edited passages anew"),
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}


class GradesForm(forms.Form):
    """The project's words for the grades 0–3; read-only once somebody has judged by them."""

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        self.is_locked = Judgement.objects.filter(query__project=project).exists()
        for row in project.grades:
            number = row["grade"]
            label = forms.CharField(label=_("Grade %(n)s") % {"n": number}, max_length=40, initial=row["label"])
            meaning = forms.CharField(
                label=_("What it means"), max_length=200, required=False, initial=row["description"]
            )
            for name, field in ((f"label_{number}", label), (f"description_{number}", meaning)):
                field.disabled = self.is_locked
                self.fields[name] = field

    def grades(self) -> list[dict[str, object]]:
        """The project's grades with the words that were sent."""
        sent = self.cleaned_data
        return [
            {
                "grade": row["grade"],
                "label": sent[f"label_{row['grade']}"],
                "description": sent[f"description_{row['grade']}"],
            }
            for row in self.project.grades
        ]


class GuidelinesForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("Guidelines"),
        help_text=gettext_lazy(
            "Markdown. Saving makes the next version; each judgement keeps the version it was made under."
        ),
        widget=forms.Textarea(attrs={"rows": 10}),
    )


MOST_A_DAY = 100_000
NO_LIMIT = gettext_lazy("0 is no limit.")


class MemberForm(forms.Form):
    """One member's row; each has a prefix of its own."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Membership.Role)
    daily_quota = forms.IntegerField(
        label=gettext_lazy("Most a day"), min_value=0, max_value=MOST_A_DAY, help_text=NO_LIMIT
    )
    is_paused = forms.BooleanField(label=gettext_lazy("Paused"), required=False)

    @classmethod
    def of(cls, membership: Membership, sent: Any = None) -> MemberForm:
        fields = {name: getattr(membership, name) for name in ("role", "daily_quota", "is_paused")}
        return cls(sent, initial=fields, prefix=f"m{membership.pk}")


class NewMemberForm(forms.Form):
    username = forms.CharField(
        label=gettext_lazy("Login name"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Membership.Role)
    daily_quota = forms.IntegerField(
        label=gettext_lazy("Most a day"), min_value=0, max_value=MOST_A_DAY, initial=0, help_text=NO_LIMIT
    )

    def clean_username(self) -> User:
        """The person who signs in by that name."""
        found: User | None = get_user_model().objects.filter(username=self.cleaned_data["username"]).first()
        if found is None or not found.is_active:
            raise forms.ValidationError(_("Nobody signs in by that name."))
        return found


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


core_forms.FORMS["settings_changed"] = ProjectForm
