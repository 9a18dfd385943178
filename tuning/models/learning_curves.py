"""Learning curves: quality by the number of judged queries."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from common.jobs import Job, JobQuerySet
from curation.models import Project
from tuning.models.components import COMPONENTS
from tuning.models.datasets import Dataset


class LearningCurve(Job):
    """Quality of one component by the number of judged queries: one training per size, on nested parts of a dataset.

    A point is {"queries", "grades", "value", "low", "high", "seconds", "per_query"}. The first point is the untuned
    component, with 0 queries. The weights of a point are not kept.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="learning_curves")
    dataset = models.ForeignKey(
        Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="learning_curves"
    )
    component = models.CharField(max_length=10, choices=COMPONENTS)
    measure = models.CharField(max_length=20)
    sizes = models.JSONField(
        default=list, blank=True, help_text=_("Queries of each training, ascending; empty: 50, 100, 200 …")
    )
    seed = models.PositiveIntegerField(default=0)
    settings = models.JSONField(default=dict, blank=True, help_text=_("Overrides of the trainings' settings."))
    points = models.JSONField(default=list)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=models.Q(state__in=["queued", "running"]),
                name="one_unfinished_learning_curve_per_project",
            )
        ]

    def __str__(self) -> str:
        return f"{self.project} learning curve {self.pk}"
