"""Reviews and the grades they settle."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from curation.models.queries import Query
from curation.models.reasons import reasons_field
from retrieval.models import Passage


class ReviewQuerySet(models.QuerySet["Review"]):
    def waiting(self) -> Self:
        """Reviews that a reviewer has to resolve."""
        return self.filter(state=Review.State.WAITING)

    def current(self) -> Self:
        """Settled reviews that were not reopened: at most one per query."""
        return self.filter(state=Review.State.SETTLED)


class Review(models.Model):
    """One decision on a query: how its judgements became settled grades and an answer, by consensus or a reviewer.

    waiting ──settle──► settled ──reopen──► reopened
       └──────return──► returned
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SETTLED = "settled", _("resolved")
        RETURNED = "returned", _("returned")
        REOPENED = "reopened", _("reopened")

    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="reviews")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reasons = reasons_field(_("Why it went to a reviewer, as codes of core.labels.REASON_MESSAGES."))
    reason_text = models.CharField(
        max_length=300, blank=True, help_text=_("The reason as text, in rows from before there were codes.")
    )
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="reviews"
    )
    comment = models.TextField(blank=True)
    answer = models.TextField(blank=True, help_text=_("The resolved answer; empty when there is none."))
    is_unanswerable = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["query"], condition=Q(state__in=["waiting", "settled"]), name="one_current_review"
            )
        ]

    def __str__(self) -> str:
        return f"{self.query}: {self.state}"


class SettledGrade(models.Model):
    """The final grade of one passage for a query, by consensus or a reviewer."""

    class Method(models.TextChoices):
        SOLE = "sole", _("one annotator")
        MEDIAN = "median", _("median")
        DAWID_SKENE = "dawid_skene", "Dawid–Skene"
        REVIEWER = "reviewer", _("reviewer")
        CONFIRMED = "confirmed", _("suggested and confirmed")

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="grades")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="settled_grades")
    grade = models.FloatField(help_text=_("0–3; a consensus may lie between two grades."))
    judges = models.PositiveSmallIntegerField(default=1)
    reliability = models.FloatField(default=1, help_text=_("Confidence of the consensus, 0–1."))
    method = models.CharField(max_length=12, choices=Method)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["review", "passage"], name="one_settled_grade_per_passage")]

    def __str__(self) -> str:
        return f"{self.passage}: {self.grade}"
