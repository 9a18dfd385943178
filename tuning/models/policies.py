"""A project's policy: when a training cycle starts by itself, and what the promotion gate requires."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from curation.models import Project
from tuning.models.components import COMPONENTS


class Gate(models.TextChoices):
    """What happens after the evaluation."""

    AUTO = "auto", _("promote if the gate passes")
    ALWAYS = "always", _("always promote")
    NEVER = "never", _("measure only")


class TargetRule(models.TextChoices):
    """What the gate requires of the target metric of a component."""

    BETTER = "better", _("significantly better")
    NOT_WORSE = "not_worse", _("not worse (within the margin)")


class GuardrailRule(models.TextChoices):
    """How the gate decides that a guardrail metric got worse."""

    AUTO = "auto", _("by its interval if there are enough queries, otherwise by its difference")
    INTERVAL = "interval", _("by its interval")
    DIFFERENCE = "difference", _("by its difference")


class Policy(models.Model):
    """The schedule of a project's training cycles and the requirements of its gate."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="policy")
    is_active = models.BooleanField(default=False)
    min_new_queries = models.PositiveIntegerField(
        default=50, validators=[MinValueValidator(1)], help_text=_("Newly resolved queries before a cycle starts.")
    )
    min_hours_between = models.FloatField(
        default=24, validators=[MinValueValidator(0.0)], help_text=_("From the start of the last cycle.")
    )
    only = models.CharField(max_length=10, choices=COMPONENTS, blank=True, help_text=_("Empty: both components."))
    gate = models.CharField(max_length=6, choices=Gate, default=Gate.AUTO)
    settings = models.JSONField(default=dict, blank=True, help_text=_("Overrides of the runs' settings."))
    guardrail_margin = models.FloatField(
        default=0.01,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("Allowed loss of a guardrail metric."),
    )
    target_rule = models.CharField(max_length=10, choices=TargetRule, default=TargetRule.BETTER)
    guardrail_rule = models.CharField(max_length=10, choices=GuardrailRule, default=GuardrailRule.AUTO)
    log_prob_margin = models.FloatField(
        default=0.5,  # another style of answering alone changes it by some tenths
        validators=[MinValueValidator(0.0), MaxValueValidator(10.0)],
        help_text=_("Allowed loss of the mean log-probability of a guardrail set's answers, in nats per token."),
    )
    min_judged = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("Share of judged passages in the first ten that both rankings need; 0: no requirement."),
    )
    max_rerank_ms = models.FloatField(
        default=300,
        validators=[MinValueValidator(0.0)],
        help_text=_("Milliseconds that a reranker may add to one search."),
    )

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return f"{self.project}: {self.min_new_queries} queries, {self.min_hours_between} h"

    @classmethod
    def of(cls, project: Project) -> Policy:
        """Return the project's policy, or an unsaved one with the defaults."""
        return cls.objects.filter(project=project).first() or cls(project=project)
