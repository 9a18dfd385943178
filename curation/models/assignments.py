"""Assignments: the work of one person on one query."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from curation.models.projects import Guidelines, Project
from curation.models.queries import Query
from curation.models.rankings import Ranking
from curation.models.reasons import reasons_field


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def open(self) -> Self:
        """Free slots that nobody holds."""
        return self.filter(state=Assignment.State.OPEN)

    def new_to(self, user: AbstractBaseUser) -> Self:
        """Assignments of queries the person has never held; re-annotations of rankings they have not had."""
        held = Assignment.objects.filter(query=OuterRef("query"), curator_id=user.pk)
        is_re_annotation = ExpressionWrapper(OuterRef("is_re_annotation"), models.BooleanField())
        seen = held.annotate(re_annotates=is_re_annotation).filter(
            Q(re_annotates=False) | Q(ranking=OuterRef("ranking"))
        )
        return self.filter(~Exists(seen))

    def open_for(self, user: AbstractBaseUser) -> Self:
        """Free slots that the person may claim: of queries they have never held."""
        return self.open().new_to(user)

    def held_by(self, user: AbstractBaseUser) -> Self:
        """Assignments that the person has claimed, with a running or an expired lease."""
        return self.filter(curator_id=user.pk, state=Assignment.State.CLAIMED)

    def submitted(self) -> Self:
        return self.filter(state=Assignment.State.SUBMITTED)

    def overdue(self) -> Self:
        """Claimed assignments whose lease has expired."""
        return self.filter(state=Assignment.State.CLAIMED, lease_until__lt=timezone.now())


class Assignment(models.Model):
    """The work of one person on one query: one of the query's slots, open until somebody claims it.

    open ──claim──► claimed ──submit──► submitted ──send back──► claimed
      ▲                │ └─release / skip──► handed_back (a new open row takes the slot)
      └─── new row ────┴──lease expires────► lapsed (likewise); a late submit takes the slot if the
                                             new row is still open, otherwise it is kept as an extra
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        CLAIMED = "claimed", _("claimed")
        SUBMITTED = "submitted", _("submitted")
        SKIPPED = "handed_back", _("skipped")
        EXPIRED = "lapsed", _("expired")

    HOLDING = [State.OPEN, State.CLAIMED, State.SUBMITTED]

    class Selection(models.TextChoices):
        RANDOM = "random", _("at random")
        PRIORITY = "value", _("by priority")
        GOLD = "gold", _("as a gold question")
        CHOSEN = "chosen", _("chosen by the person")
        CONFIRMED = "confirmed", _("by confirming a suggested grade")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignments")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="assignments")
    slot = models.PositiveSmallIntegerField(help_text=_("1 … overlap."))
    is_extra = models.BooleanField(
        default=False, help_text=_("Submitted after its slot was filled: kept, but not counted.")
    )
    is_re_annotation = models.BooleanField(
        default=False, db_default=False, help_text=_("Only passages that were edited after they were judged.")
    )
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    curator = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments"
    )
    ranking = models.ForeignKey(Ranking, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments")
    guidelines = models.ForeignKey(Guidelines, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    priority = models.FloatField(
        default=0, help_text=_("Expected benefit of a judgement; the highest is claimed first.")
    )
    random_key = models.FloatField(default=0, help_text=_("Position in the random order."))
    reasons = reasons_field(_("Why the query was picked, as codes of core.labels.REASON_MESSAGES."))
    reason_text = models.CharField(
        max_length=200, blank=True, help_text=_("The reason as text, in rows from before there were codes.")
    )
    selection = models.CharField(max_length=10, choices=Selection, blank=True, help_text=_("How the claim picked it."))
    order = models.JSONField(default=list, blank=True, help_text=_("Passage ids in the order shown to the person."))
    lease_until = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    active_seconds = models.FloatField(default=0)
    is_unanswerable = models.BooleanField(default=False, help_text=_("No answer in corpus."))
    is_flagged = models.BooleanField(default=False)
    comment = models.TextField(blank=True, help_text=_("Comment of a flag, a skip or a reviewer who sent it back."))

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["query", "slot"],
                condition=Q(is_extra=False, state__in=["open", "claimed", "submitted"]),
                name="one_assignment_per_slot",
            ),
            models.UniqueConstraint(
                fields=["query", "curator"],
                condition=Q(curator__isnull=False, is_re_annotation=False),
                name="one_assignment_per_curator",
            ),
            models.UniqueConstraint(
                fields=["query", "curator", "ranking"],
                condition=Q(curator__isnull=False, is_re_annotation=True),
                name="one_re_annotation_per_curator_and_ranking",
            ),
            models.CheckConstraint(
                condition=Q(state="open", curator=None) | (~Q(state="open") & Q(curator__isnull=False)),
                name="open_means_nobody",
            ),
        ]
        indexes = [
            models.Index(
                F("project"), F("priority").desc(), F("id"), condition=Q(state="open"), name="open_by_priority"
            ),
            models.Index(fields=["project", "random_key"], condition=Q(state="open"), name="open_by_random_key"),
            models.Index(fields=["lease_until"], condition=Q(state="claimed"), name="claimed_by_lease"),
            models.Index(fields=["curator", "state", "submitted_at"], name="assignment_by_curator"),
            models.Index(fields=["project", "submitted_at"], name="assignment_by_submit"),
        ]

    def __str__(self) -> str:
        return f"{self.query} · slot {self.slot}"
