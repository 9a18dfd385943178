"""Members of projects, and the preferences of people."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from curation.models.projects import Project


class Membership(models.Model):
    """One person's role in one project. Each role includes the permissions of the roles before it."""

    class Role(models.TextChoices):
        ANNOTATOR = "annotator", _("annotator")
        REVIEWER = "reviewer", _("reviewer")
        ENGINEER = "engineer", _("engineer")
        MANAGER = "manager", _("manager")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=12, choices=Role, default=Role.ANNOTATOR)
    daily_quota = models.PositiveIntegerField(_("daily limit (0 = none)"), default=0, help_text=_("Submits per day."))
    is_paused = models.BooleanField(_("paused"), default=False)
    claims = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("Claims so far, without gold questions.")
    )
    random_claims = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("How many of these claims were picked at random.")
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_role_per_person")]

    def __str__(self) -> str:
        return f"{self.user} · {self.role}"


class Preferences(models.Model):
    """One person's settings of the judge page, for every project."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    keys = models.JSONField(default=dict, blank=True, help_text=_("Action → key, where it differs from the default."))
    mark_words = models.BooleanField(_("highlight the words of the query in the passages"), default=True)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return str(self.user)
