"""What the settings page sends."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from curation.models import Guidelines, Project


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
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}


class GuidelinesForm(forms.Form):
    text = forms.CharField(
        label=_("Guidelines"),
        help_text=_("Markdown. Saving makes the next version; each judgement keeps the version it was made under."),
        widget=forms.Textarea(attrs={"rows": 10}),
    )

    def save(self, project: Project) -> Guidelines:
        """The next version; the one there is when the text is the same."""
        last = project.guidelines.first()
        if last is not None and last.text == self.cleaned_data["text"]:
            return last
        number = last.version + 1 if last else 1
        return Guidelines.objects.create(project=project, version=number, text=self.cleaned_data["text"])
