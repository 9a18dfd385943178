"""Forms of the settings page, the members page and the preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.annotation.keyboard_shortcuts import ACTION_LABELS, DEFAULT_KEYS, is_key
from curation.core import forms as core_forms
from curation.models import Judgement, Membership, Preferences, Project

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm

MAX_DAILY_QUOTA = 100_000
MAX_OVERLAP = 50

PROJECT_LABELS = {
    "name": gettext_lazy("Name"),
    "language": gettext_lazy("Language of the corpus"),
    "description": gettext_lazy("Description"),
    "overlap": gettext_lazy("Annotators per query"),
    "pool_depth": gettext_lazy("Passages per query"),
    "lease_seconds": gettext_lazy("Reservation time in seconds"),
    "review_gap": gettext_lazy("Grade difference that needs a review"),
    "visibility": gettext_lazy("Show others' grades"),
    "random_share": gettext_lazy("Random share of the queue"),
    "gold_rate": gettext_lazy("Share of gold questions"),
    "gold_feedback": gettext_lazy("Feedback on gold questions"),
    "propagates_grades": gettext_lazy("Suggest grades for near-duplicates"),
    "re_annotates_edits": gettext_lazy("Re-annotate edited passages"),
}


class ProjectForm(ModelForm):
    class Meta:
        model = Project
        fields = list(PROJECT_LABELS)
        labels = PROJECT_LABELS
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}


class GradesForm(forms.Form):
    """The project's labels of the grades 0–3; read-only once the project has a judgement."""

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        self.is_locked = Judgement.objects.filter(query__project=project).exists()
        for row in project.grades:
            number = row["grade"]
            label = forms.CharField(label=_("Grade %(n)s") % {"n": number}, max_length=40, initial=row["label"])
            description = forms.CharField(
                label=_("Description"), max_length=200, required=False, initial=row["description"]
            )
            for name, field in ((f"label_{number}", label), (f"description_{number}", description)):
                field.disabled = self.is_locked
                self.fields[name] = field

    def grades(self) -> list[dict[str, object]]:
        """Return the project's grades with the submitted labels and descriptions."""
        fields = self.cleaned_data
        return [
            {
                "grade": row["grade"],
                "label": fields[f"label_{row['grade']}"],
                "description": fields[f"description_{row['grade']}"],
            }
            for row in self.project.grades
        ]


class GuidelinesForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("Guidelines"),
        help_text=gettext_lazy("Markdown. Saving creates the next version; each judgement keeps its version."),
        widget=forms.Textarea(attrs={"rows": 10}),
    )


class OverlapForm(forms.Form):
    """The overlap of one query. Empty: as many people as the project says."""

    overlap = forms.IntegerField(
        label=gettext_lazy("Annotators of this query"),
        required=False,
        min_value=1,
        max_value=MAX_OVERLAP,
        help_text=gettext_lazy("Empty: as many as the project says."),
    )


def _daily_quota_field(**options: Any) -> forms.IntegerField:
    label = gettext_lazy("Daily limit (0 = none)")
    return forms.IntegerField(label=label, min_value=0, max_value=MAX_DAILY_QUOTA, **options)


class MemberForm(forms.Form):
    """One member's row on the members page."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Membership.Role)
    daily_quota = _daily_quota_field()
    is_paused = forms.BooleanField(label=gettext_lazy("Paused"), required=False)

    @classmethod
    def for_member(cls, membership: Membership, data: Any = None) -> MemberForm:
        """Return the form of this member; each row has its own prefix."""
        fields = {name: getattr(membership, name) for name in ("role", "daily_quota", "is_paused")}
        return cls(data, initial=fields, prefix=f"m{membership.pk}")


class NewMemberForm(forms.Form):
    username = forms.CharField(
        label=gettext_lazy("Username"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Membership.Role)
    daily_quota = _daily_quota_field(initial=0)

    def clean_username(self) -> User:
        """Return the active user of that name."""
        user: User | None = get_user_model().objects.filter(username=self.cleaned_data["username"]).first()
        if user is None or not user.is_active:
            raise forms.ValidationError(_("There is no active user of that name."))
        return user


class PreferencesForm(ModelForm):
    class Meta:
        model = Preferences
        fields = ["mark_words"]
        labels = {"mark_words": gettext_lazy("Highlight the words of the query in the passages")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own_keys = self.instance.keys or {}
        for action, key in DEFAULT_KEYS.items():
            field = forms.CharField(
                label=str(ACTION_LABELS[action]), initial=own_keys.get(action, key), max_length=20, strip=False
            )
            self.fields[f"key-{action}"] = field

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        used: dict[str, str] = {}
        for action in DEFAULT_KEYS:
            key = fields.get(f"key-{action}")
            if key is None:
                continue
            if not is_key(key):
                self.add_error(f"key-{action}", _("One visible character, or a key like Enter or Backspace."))
            elif key in used:
                other = {"action": str(ACTION_LABELS[used[key]])}
                self.add_error(f"key-{action}", _("This key is already used for “%(action)s”.") % other)
            used.setdefault(key, action)
        return fields

    def save(self, commit: bool = True) -> Preferences:
        """Store only the keys that differ from the defaults, so that a new default reaches everybody else."""
        keys = {action: self.cleaned_data[f"key-{action}"] for action in DEFAULT_KEYS}
        self.instance.keys = {action: key for action, key in keys.items() if key != DEFAULT_KEYS[action]}
        preferences: Preferences = super().save(commit)
        return preferences

    def key_fields(self) -> list[forms.BoundField]:
        """Return the fields of the keys, in the order of the help page."""
        return [self[f"key-{action}"] for action in DEFAULT_KEYS]


core_forms.FORMS_BY_VERB["settings_changed"] = ProjectForm
