"""Suggested grades: settled grades that label propagation suggests for similar passages and queries."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from curation.models.judgements import Judgement
from curation.models.projects import Project
from curation.models.queries import Query
from retrieval.models import Passage


class SuggestedGradeQuerySet(models.QuerySet["SuggestedGrade"]):
    def waiting(self) -> Self:
        """Suggestions that nobody has decided yet."""
        return self.filter(state=SuggestedGrade.State.WAITING)

    def decided(self) -> Self:
        """Confirmed or rejected by a person."""
        return self.filter(state__in=[SuggestedGrade.State.CONFIRMED, SuggestedGrade.State.REFUSED])


class SuggestedGrade(models.Model):
    """A settled grade suggested for a similar passage or a similar query. It counts only after a person confirms it.

    waiting ──confirm──► confirmed ──undo──► waiting
       ├──────reject───► refused ────undo──► waiting
       └─judged by a person, or its source changed──► overtaken
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CONFIRMED = "confirmed", _("confirmed")
        REFUSED = "refused", _("rejected")
        OVERTAKEN = "overtaken", _("outdated")

    class Kind(models.TextChoices):
        PASSAGE = "passage", _("near-duplicate passage")
        QUERY = "query", _("paraphrased query")
        MEANING = "meaning", _("semantically equal query")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="suggested_grades")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="suggested_grades")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="suggested_grades")
    grade = models.PositiveSmallIntegerField(validators=[MaxValueValidator(3)])
    kind = models.CharField(max_length=10, choices=Kind)
    from_query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="+")
    from_passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="+")
    similarity = models.FloatField(help_text=_("Similarity of the two passages or the two queries, 0–1."))
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    judgement = models.OneToOneField(
        Judgement,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="origin",
        help_text=_("The judgement that its confirmation created."),
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = SuggestedGradeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["query", "passage"], name="one_suggested_grade_per_query_and_passage"),
            models.CheckConstraint(condition=Q(grade__lte=3), name="suggested_grade_is_0_to_3"),
        ]
        indexes = [models.Index(fields=["project", "state", "query"], name="suggested_grade_by_state")]

    def __str__(self) -> str:
        return f"{self.passage}: {self.grade}?"
