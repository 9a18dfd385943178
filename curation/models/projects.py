"""Projects and their guidelines."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from retrieval.models import Corpus

SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


def default_grades() -> list[dict[str, object]]:
    """Return the labels of the grades 0–3 that a new project starts with."""
    return [
        {"grade": 0, "label": gettext_noop("Not relevant"), "description": gettext_noop("Does not help.")},
        {"grade": 1, "label": gettext_noop("Related"), "description": gettext_noop("Same topic, does not answer.")},
        {"grade": 2, "label": gettext_noop("Partly answers"), "description": gettext_noop("Answers a part.")},
        {"grade": 3, "label": gettext_noop("Answers"), "description": gettext_noop("Answers the question.")},
    ]


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Projects that the person is a member of; all of them for a superuser."""
        if getattr(user, "is_superuser", False):
            return self.all()
        return self.filter(memberships__user_id=user.pk)

    def with_outdated_slots(self) -> Self:
        """Projects with open queries whose number of slots follows an earlier overlap."""
        return self.exclude(slots_overlap=models.F("overlap"))


class Project(models.Model):
    """One assistant that a team improves: its corpus, its rules of annotation, its members and releases."""

    class Visibility(models.TextChoices):
        NEVER = "never", _("never")
        AFTER_SUBMIT = "after_submit", _("after one's own submit")

    class GoldFeedback(models.TextChoices):
        AT_ONCE = "at_once", _("at once")
        LATER = "later", _("later")

    slug = models.SlugField(unique=True)
    name = models.CharField(_("name"), max_length=200)
    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="projects")
    language = models.CharField(_("language of the corpus"), max_length=10, choices=settings.LANGUAGES, default="en")
    description = models.TextField(_("description"), blank=True)
    grades = models.JSONField(
        _("grades"),
        default=default_grades,
        help_text=_("Labels and descriptions of 0–3; locked after the first judgement."),
    )
    overlap = models.PositiveSmallIntegerField(
        _("annotators per query"),
        default=1,
        validators=[MinValueValidator(1)],
        help_text=_("How many people judge each query."),
    )
    slots_overlap = models.PositiveSmallIntegerField(
        null=True, blank=True, editable=False, help_text=_("The overlap that the slots of open queries follow.")
    )
    lease_seconds = models.PositiveIntegerField(
        _("reservation time in seconds"),
        default=900,
        validators=[MinValueValidator(30)],
        help_text=_("How long a claimed query stays reserved without activity."),
    )
    pool_depth = models.PositiveSmallIntegerField(
        _("passages per query"), default=10, help_text=_("How many passages of the ranking are judged.")
    )
    visibility = models.CharField(
        _("show others' grades"), max_length=20, choices=Visibility, default=Visibility.AFTER_SUBMIT
    )
    random_share = models.FloatField(
        _("random share of the queue"),
        default=0.5,
        validators=[MinValueValidator(0.5), MaxValueValidator(1.0)],
        help_text=_("Share of claims picked at random; the others are picked by priority."),
    )
    gold_rate = models.FloatField(
        _("share of gold questions"),
        default=0.0,
        validators=SHARE,
        help_text=_("Share of claims that are gold questions."),
    )
    gold_feedback = models.CharField(
        _("feedback on gold questions"), max_length=10, choices=GoldFeedback, default=GoldFeedback.LATER
    )
    re_annotates_edits = models.BooleanField(
        _("re-annotate edited passages"),
        default=False,
        db_default=False,
        help_text=_("Queue the new text of a judged passage automatically."),
    )
    propagates_grades = models.BooleanField(
        _("suggest grades for near-duplicates"),
        default=True,
        db_default=True,
        help_text=_("Suggest resolved grades for near-duplicates and paraphrases; a reviewer confirms them."),
    )
    review_gap = models.PositiveSmallIntegerField(
        _("grade difference that needs a review"),
        default=2,
        help_text=_("A query goes to a reviewer where grades differ by this much."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def has_live_release(self) -> bool:
        """Whether a release is live. Without one, queries cannot be asked and cycles cannot start."""
        return self.releases.live().exists()


class Guidelines(models.Model):
    """One version of the annotation guidelines. A row never changes; an edit creates the next version."""

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
