"""What is settled of a query, and what is only offered."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from curation.models.projects import Project
from curation.models.queries import Query
from curation.models.work import Judgement, reasons_field
from retrieval.models import Passage


class ReviewQuerySet(models.QuerySet["Review"]):
    def waiting(self) -> Self:
        return self.filter(state=Review.State.WAITING)

    def current(self) -> Self:
        return self.filter(state=Review.State.SETTLED)


class Review(models.Model):
    """How the judgements of one query became one opinion.

    waiting ──settle──► settled ──reopen──► reopened
       └──────return──► returned
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SETTLED = "settled", _("settled")
        RETURNED = "returned", _("returned")
        REOPENED = "reopened", _("reopened")

    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="reviews")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reasons = reasons_field(_("Why it came to a reviewer, as codes of wording.REASONS."))
    reason_text = models.CharField(
        max_length=300, blank=True, help_text=_("The same in words, from before there were codes.")
    )
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="reviews"
    )
    comment = models.TextField(blank=True)
    answer = models.TextField(blank=True, help_text=_("The settled answer; empty when there is none."))
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
    """The one grade of a passage for a query, after consensus or a reviewer."""

    class Method(models.TextChoices):
        SOLE = "sole", _("one curator")
        MEDIAN = "median", _("median")
        DAWID_SKENE = "dawid_skene", "Dawid–Skene"
        REVIEWER = "reviewer", _("reviewer")
        CONFIRMED = "confirmed", _("passed on and confirmed")

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="grades")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="settled_grades")
    grade = models.FloatField(help_text=_("0–3; a consensus may lie between."))
    judges = models.PositiveSmallIntegerField(default=1)
    reliability = models.FloatField(default=1, help_text=_("0–1: how sure the consensus is."))
    method = models.CharField(max_length=12, choices=Method)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["review", "passage"], name="one_settled_grade_per_passage")]

    def __str__(self) -> str:
        return f"{self.passage}: {self.grade}"


class SuggestedGradeQuerySet(models.QuerySet["SuggestedGrade"]):
    def waiting(self) -> Self:
        return self.filter(state=SuggestedGrade.State.WAITING)

    def decided(self) -> Self:
        """Confirmed or refused by a person."""
        return self.filter(state__in=[SuggestedGrade.State.CONFIRMED, SuggestedGrade.State.REFUSED])


class SuggestedGrade(models.Model):
    """A settled grade offered to a passage like it, or to a query like it: no judgement until a person confirms it.

    waiting ──confirm──► confirmed ──take back──► waiting
       ├──────refuse───► refused ────take back──► waiting
       └─judged meanwhile, or its source changed──► overtaken
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CONFIRMED = "confirmed", _("confirmed")
        REFUSED = "refused", _("refused")
        OVERTAKEN = "overtaken", _("overtaken")

    class Kind(models.TextChoices):
        PASSAGE = "passage", _("near-duplicate passage")
        QUERY = "query", _("paraphrased query")
        MEANING = "meaning", _("query of the same meaning")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="suggested_grades")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="suggested_grades")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="suggested_grades")
    grade = models.PositiveSmallIntegerField(validators=[MaxValueValidator(3)])
    kind = models.CharField(max_length=10, choices=Kind)
    from_query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="+")
    from_passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="+")
    similarity = models.FloatField(help_text=_("0–1, of the two passages or the two queries."))
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    judgement = models.OneToOneField(
        Judgement,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="origin",
        help_text=_("What it became."),
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
