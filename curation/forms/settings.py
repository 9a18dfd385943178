"""What the settings page sends."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.models import Judgement, Project


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
            "reveal",
            "random_share",
            "gold_rate",
            "gold_feedback",
            "passes_on",
            "judges_edits",
        ]
        labels = {
            "name": _("Name"),
            "language": _("Language of the corpus"),
            "description": _("Description"),
            "overlap": _("People per query"),
            "pool_depth": _("Passages per query"),
            "lease_seconds": _("Lease in seconds"),
            "review_gap": _("Gap that goes to review"),
            "reveal": _("Show others' grades"),
            "random_share": _("Random share of the queue"),
            "gold_rate": _("Share of gold questions"),
            "gold_feedback": _("Feedback on gold questions"),
            "passes_on": _("Offer grades to near-duplicates"),
            "judges_edits": _("Judge edited passages anew"),
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
        label=_("Guidelines"),
        help_text=_("Markdown. Saving makes the next version; each judgement keeps the version it was made under."),
        widget=forms.Textarea(attrs={"rows": 10}),
    )
