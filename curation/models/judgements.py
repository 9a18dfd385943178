"""Judgements of passages, and edited answers."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from curation.models.assignments import Assignment
from curation.models.queries import Query
from curation.models.rankings import Draft
from retrieval.models import Passage


class JudgementQuerySet(models.QuerySet["Judgement"]):
    def not_withdrawn(self) -> Self:
        """Judgements that their annotator has not withdrawn."""
        return self.filter(withdrawn_at=None)

    def submitted(self) -> Self:
        """Judgements of submitted assignments, without the withdrawn ones."""
        return self.not_withdrawn().filter(assignment__state=Assignment.State.SUBMITTED)

    def settled(self) -> Self:
        """Submitted judgements of settled queries."""
        return self.submitted().filter(assignment__query__state=Query.State.SETTLED)


class Judgement(models.Model):
    """One person's grade of one passage for one query. No row means unjudged, no grade means can't tell."""

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="judgements")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="judgements")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="judgements")
    curator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgements")
    grade = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MaxValueValidator(3)])
    content_hash = models.CharField(max_length=64, help_text=_("Hash of the passage's text when it was judged."))
    evidence = models.JSONField(default=list, blank=True, help_text=_("Character spans [start, end) of the passage."))
    shown_position = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text=_("Position on the judge page, from 1.")
    )
    active_seconds = models.FloatField(default=0)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = JudgementQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["query", "passage", "curator"],
                condition=Q(withdrawn_at=None),
                name="one_grade_per_curator_and_passage",
            ),
            models.CheckConstraint(condition=Q(grade=None) | Q(grade__lte=3), name="grade_is_0_to_3"),
        ]

    def __str__(self) -> str:
        return f"{self.curator}: {'?' if self.grade is None else self.grade}"


class Answer(models.Model):
    """One person's edited answer to one query."""

    assignment = models.OneToOneField(Assignment, on_delete=models.CASCADE, related_name="answer")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="answers")
    curator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="answers")
    draft = models.ForeignKey(Draft, null=True, blank=True, on_delete=models.SET_NULL, related_name="answers")
    text = models.TextField(blank=True)
    citations = models.JSONField(default=list, blank=True, help_text=_("[{sentence, passage, evidence}]"))
    unsupported = models.JSONField(
        default=list, blank=True, help_text=_("Character spans [start, end) that no passage supports.")
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.text[:80]
