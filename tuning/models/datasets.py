"""Datasets: immutable snapshots of settled work."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from curation.models import Judgement, Project, Query, Review


class Dataset(models.Model):
    """Settled work, frozen and hashed: split by query cluster before any expansion, never edited."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="datasets")
    number = models.PositiveIntegerField()
    seed = models.PositiveIntegerField(default=0)
    path = models.CharField(max_length=300, help_text=_("Folder under DATA_DIR."))
    sha256 = models.CharField(max_length=64)
    counts = models.JSONField(default=dict, help_text=_("Rows and queries of each split."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="one_dataset_per_number")]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.project} dataset {self.number}"


class Split(models.TextChoices):
    TRAIN = "train", _("train")
    DEV = "dev", _("dev")
    TEST = "test", _("test")


class DatasetQuery(models.Model):
    """One settled query in a dataset: the lineage from its row to the review and the judgements of the row."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="queries")
    query = models.ForeignKey(Query, on_delete=models.PROTECT, related_name="in_datasets")
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="in_datasets")
    split = models.CharField(max_length=5, choices=Split)
    cluster = models.CharField(max_length=64, help_text=_("Shared by paraphrases, which are in one split."))
    judgements = models.ManyToManyField(Judgement, related_name="in_datasets")

    class Meta:
        verbose_name_plural = "dataset queries"
        constraints = [models.UniqueConstraint(fields=["dataset", "query"], name="a_query_is_in_a_dataset_once")]

    def __str__(self) -> str:
        return f"{self.dataset}: {self.query}"
