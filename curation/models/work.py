"""One person's turn at one query, and what came of it."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from curation.models.projects import Guidelines, Project
from curation.models.queries import Draft, Query, Ranking
from retrieval.models import Passage


def reasons_field(help_text: object) -> models.JSONField:
    """[{"code", "args"}]: a sentence is stored as what it says, and put in words for whoever reads it."""
    empty = models.Value([], models.JSONField())
    return models.JSONField(default=list, db_default=empty, blank=True, help_text=help_text)


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def open(self) -> Self:
        return self.filter(state=Assignment.State.OPEN)

    def new_to(self, user: AbstractBaseUser) -> Self:
        """Of queries the person has never held; a top-up asks of texts that they have not had."""
        held = Assignment.objects.filter(query=OuterRef("query"), curator_id=user.pk)
        is_re_annotation = ExpressionWrapper(OuterRef("is_re_annotation"), models.BooleanField())
        same = held.annotate(asks_anew=is_re_annotation).filter(Q(asks_anew=False) | Q(ranking=OuterRef("ranking")))
        return self.filter(~Exists(same))

    def open_for(self, user: AbstractBaseUser) -> Self:
        """Free slots of queries the person has never held."""
        return self.open().new_to(user)

    def held_by(self, user: AbstractBaseUser) -> Self:
        """Claimed by the person, whether the lease still runs or not."""
        return self.filter(curator_id=user.pk, state=Assignment.State.CLAIMED)

    def submitted(self) -> Self:
        return self.filter(state=Assignment.State.SUBMITTED)

    def overdue(self) -> Self:
        return self.filter(state=Assignment.State.CLAIMED, lease_until__lt=timezone.now())


class Assignment(models.Model):
    """One person's turn at one query: a slot, open until somebody claims it.

    open ──claim──► claimed ──submit──► submitted ──return──► claimed
      ▲                │ └─hand back / skip─► handed_back (a fresh open row takes the slot)
      └── fresh row ───┴──lease over────────► lapsed (likewise); a late submit lands if the
                                              fresh row is still open, else it is kept as an extra
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        CLAIMED = "claimed", _("claimed")
        SUBMITTED = "submitted", _("submitted")
        SKIPPED = "handed_back", _("handed back")
        EXPIRED = "lapsed", _("lapsed")

    HOLDING = [State.OPEN, State.CLAIMED, State.SUBMITTED]

    class Selection(models.TextChoices):
        RANDOM = "random", _("at random")
        PRIORITY = "value", _("by value")
        GOLD = "gold", _("as a gold question")
        CHOSEN = "chosen", _("by name")
        CONFIRMED = "confirmed", _("by confirming a grade")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignments")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="assignments")
    slot = models.PositiveSmallIntegerField(help_text=_("1 … overlap."))
    is_extra = models.BooleanField(default=False, help_text=_("Came after its slot was filled; kept, not counted."))
    is_re_annotation = models.BooleanField(
        default=False, db_default=False, help_text=_("Asks only for passages that were edited after they were judged.")
    )
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    curator = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments"
    )
    ranking = models.ForeignKey(Ranking, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments")
    guidelines = models.ForeignKey(Guidelines, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    priority = models.FloatField(default=0, help_text=_("What judging it would bring; higher first."))
    random_key = models.FloatField(default=0, help_text=_("Its place in the random order."))
    reasons = reasons_field(_("Why this one, as codes of wording.REASONS."))
    reason_text = models.CharField(
        max_length=200, blank=True, help_text=_("The same in words, from before there were codes.")
    )
    selection = models.CharField(max_length=10, choices=Selection, blank=True, help_text=_("How the claim came to it."))
    order = models.JSONField(default=list, blank=True, help_text=_("Passage ids in the order this person saw them."))
    lease_until = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    active_seconds = models.FloatField(default=0)
    is_unanswerable = models.BooleanField(default=False, help_text=_("The corpus holds no answer."))
    is_flagged = models.BooleanField(default=False)
    comment = models.TextField(blank=True, help_text=_("Of a flag, a skip or a return."))

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


class JudgementQuerySet(models.QuerySet["Judgement"]):
    def standing(self) -> Self:
        """Not withdrawn."""
        return self.filter(withdrawn_at=None)

    def submitted(self) -> Self:
        """Standing, of work its curator has submitted."""
        return self.standing().filter(assignment__state=Assignment.State.SUBMITTED)

    def settled(self) -> Self:
        return self.submitted().filter(assignment__query__state=Query.State.SETTLED)


class Judgement(models.Model):
    """What one curator thinks of one passage for one query. No row: unjudged; no grade: can't tell."""

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="judgements")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="judgements")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="judgements")
    curator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgements")
    grade = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MaxValueValidator(3)])
    content_hash = models.CharField(max_length=64, help_text=_("Of the passage as it was judged."))
    evidence = models.JSONField(default=list, blank=True, help_text=_("Spans [start, end) of the passage's text."))
    shown_position = models.PositiveSmallIntegerField(null=True, blank=True, help_text=_("Where it stood, from 1."))
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
    """The answer as one curator would have it."""

    assignment = models.OneToOneField(Assignment, on_delete=models.CASCADE, related_name="answer")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="answers")
    curator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="answers")
    draft = models.ForeignKey(Draft, null=True, blank=True, on_delete=models.SET_NULL, related_name="answers")
    text = models.TextField(blank=True)
    citations = models.JSONField(default=list, blank=True, help_text=_("[{sentence, passage, evidence}]"))
    unsupported = models.JSONField(default=list, blank=True, help_text=_("Spans [start, end) no passage supports."))
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.text[:80]
