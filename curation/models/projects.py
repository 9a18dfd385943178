"""A project, who works in it and by what rules."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from retrieval.models import Corpus

SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


def default_grades() -> list[dict[str, object]]:
    return [
        {"grade": 0, "label": "Not relevant", "description": "Says nothing that helps."},
        {"grade": 1, "label": "Related", "description": "On the subject, but does not answer."},
        {"grade": 2, "label": "Relevant", "description": "Answers a part."},
        {"grade": 3, "label": "Answers it", "description": "Answers the question."},
    ]


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: AbstractBaseUser) -> Self:
        """Projects the person is a member of; all of them for a superuser."""
        if getattr(user, "is_superuser", False):
            return self.all()
        return self.filter(memberships__user_id=user.pk)

    def with_other_slots(self) -> Self:
        """Projects whose open queries have their slots by another overlap than the one that holds now."""
        return self.exclude(slots_overlap=models.F("overlap"))


class Project(models.Model):
    """One assistant that a team makes better."""

    class Visibility(models.TextChoices):
        NEVER = "never", _("never")
        AFTER_SUBMIT = "after_submit", _("after one's own submit")

    class GoldFeedback(models.TextChoices):
        AT_ONCE = "at_once", _("at once")
        LATER = "later", _("later")

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="projects")
    language = models.CharField(max_length=10, choices=settings.LANGUAGES, default="en")
    description = models.TextField(blank=True)
    grades = models.JSONField(
        default=default_grades, help_text=_("Labels and descriptions of 0–3; locked once judged.")
    )
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text=_("People who judge each query.")
    )
    slots_overlap = models.PositiveSmallIntegerField(
        null=True, blank=True, editable=False, help_text=_("The overlap that the slots of open queries last followed.")
    )
    lease_seconds = models.PositiveIntegerField(
        default=900, validators=[MinValueValidator(30)], help_text=_("How long a claim lasts without a sign of life.")
    )
    pool_depth = models.PositiveSmallIntegerField(default=10, help_text=_("Passages frozen for judging, per query."))
    visibility = models.CharField(max_length=20, choices=Visibility, default=Visibility.AFTER_SUBMIT)
    random_share = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0.5), MaxValueValidator(1.0)],
        help_text=_("Share of claims taken at random; the rest by value."),
    )
    gold_rate = models.FloatField(
        default=0.0, validators=SHARE, help_text=_("Share of claims that are gold questions.")
    )
    gold_feedback = models.CharField(max_length=10, choices=GoldFeedback, default=GoldFeedback.LATER)
    re_annotates_edits = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_("When a judged passage is edited, put its new text into the queue by itself."),
    )
    propagates_grades = models.BooleanField(
        default=True,
        db_default=True,
        help_text=_("Offer settled grades to near-duplicates and paraphrases, for a reviewer to confirm."),
    )
    review_gap = models.PositiveSmallIntegerField(default=2, help_text=_("Grades this far apart go to a reviewer."))
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def serves(self) -> bool:
        """Whether a release answers: nothing can be asked or tuned before."""
        return self.releases.serving().exists()


class Guidelines(models.Model):
    """How to judge, as it stood from one day on. Never edited: a change is the next version."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    text = models.TextField(help_text=_("Markdown."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="one_text_per_version")]
        ordering = ["-version"]
        verbose_name_plural = "guidelines"

    def __str__(self) -> str:
        return f"{self.project} v{self.version}"


class Membership(models.Model):
    """What a person may do in a project. Each role may do what the ones before it may."""

    class Role(models.TextChoices):
        ANNOTATOR = "annotator", _("annotator")
        REVIEWER = "reviewer", _("reviewer")
        ENGINEER = "engineer", _("engineer")
        MANAGER = "manager", _("manager")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role, default=Role.ANNOTATOR)
    daily_quota = models.PositiveIntegerField(default=0, help_text=_("Submits per day; 0 is no limit."))
    is_paused = models.BooleanField(default=False)
    claims = models.PositiveIntegerField(default=0, editable=False, help_text=_("Claims so far, gold left out."))
    random_claims = models.PositiveIntegerField(default=0, editable=False, help_text=_("Of them, drawn at random."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_role_per_person")]

    def __str__(self) -> str:
        return f"{self.user} · {self.role}"


class Preferences(models.Model):
    """How one person likes to work: keys and toggles, in every project."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    keys = models.JSONField(default=dict, blank=True, help_text=_("Action → key, where it differs from the default."))
    mark_words = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return str(self.user)
