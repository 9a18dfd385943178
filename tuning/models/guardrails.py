"""Guardrail sets: held-out questions of other subjects, as regression guards."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from curation.models import Project


class GuardrailSet(models.Model):
    """Questions that are never tuned for: a challenger that does worse on them has forgotten something.

    One frozen folder with corpus.jsonl, queries.jsonl, qrels.tsv and answers.jsonl; all but the queries are optional.
    With grades the set measures an encoder; with answers it measures a generator, which gets no passage.
    """

    class Origin(models.TextChoices):
        BUILT_IN = "built_in", _("comes with Tandem")
        PROJECT = "project", _("another project")
        FOLDER = "folder", _("uploaded files")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guardrail_sets")
    name = models.SlugField(max_length=60)
    origin = models.CharField(max_length=10, choices=Origin)
    path = models.CharField(max_length=300, help_text=_("Folder under DATA_DIR; a built-in set is part of the code."))
    sha256 = models.CharField(max_length=64)
    counts = models.JSONField(default=dict, help_text=_("Passages, queries, grades and answers."))
    margin = models.FloatField(
        default=0.03,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("Allowed loss of nDCG@10 or F1 on the set."),
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_guardrail_set_per_name")]
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name
