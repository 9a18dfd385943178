"""Training cycles and the training runs in them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.jobs import Job, JobQuerySet, JobState
from curation.models import Generator, Project, Release
from retrieval.models import Encoder, Reranker
from tuning.models.components import COMPONENTS, Component
from tuning.models.datasets import Dataset
from tuning.models.policies import Gate


class Cycle(Job):
    """One training cycle: collect → train → index → rerank → evaluate → decide.

    `step` is the next step to do, so a cycle whose worker was lost continues there. Between two steps the cycle is
    queued.
    """

    class Step(models.TextChoices):
        COLLECT = "collect", _("collecting")
        TRAIN = "train", _("training")
        INDEX = "index", _("indexing")
        RERANK = "rerank", _("training the reranker")
        EVALUATE = "evaluate", _("evaluating")
        DECIDE = "decide", _("deciding")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="cycles")
    step = models.CharField(max_length=10, choices=Step, default=Step.COLLECT)
    only = models.CharField(max_length=10, choices=COMPONENTS, blank=True, help_text=_("Empty: both components."))
    gate = models.CharField(max_length=6, choices=Gate, default=Gate.AUTO)
    seed = models.PositiveIntegerField(default=0)
    settings = models.JSONField(default=dict, blank=True, help_text=_("Overrides of the runs' settings."))
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="cycles")
    challenger = models.ForeignKey(Release, null=True, blank=True, on_delete=models.PROTECT, related_name="cycles")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=models.Q(state__in=["queued", "running"]),
                name="one_unfinished_cycle_per_project",
            )
        ]

    def __str__(self) -> str:
        return f"{self.project} cycle {self.pk}"

    def move_on(self, step: str | None = None, **changes: object) -> bool:
        """running → queued at `step` (default: the next one), by the claiming worker only; false if it lost the claim.

        The attempts are counted for each step: they start at 0 again.
        """
        released = {"state": JobState.QUEUED, "worker": "", "attempts": 0, "heartbeat_at": timezone.now()}
        cleared = {"progress_done": 0, "progress_total": 0, "progress_note": ""}
        moved = bool(self._claimed_row().update(**released, **cleared, step=step or self.next_step(), **changes))
        self.refresh_from_db()
        return moved

    def next_step(self) -> str:
        """Return the step after the current one; the last step itself at the end."""
        steps = self.Step.values
        return steps[min(steps.index(self.step) + 1, len(steps) - 1)]


class Run(Job):
    """One training of one component, in its own process. Its result is an Encoder, a Generator or a Reranker row.

    The run of a reranker may be done without a result: the dev ranking was better without a reranker.
    """

    cycle = models.ForeignKey(Cycle, on_delete=models.CASCADE, related_name="runs")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    component = models.CharField(max_length=10, choices=Component)
    settings = models.JSONField(default=dict, help_text=_("Specification of the training process."))
    seed = models.PositiveIntegerField(default=0)
    path = models.CharField(
        max_length=300, blank=True, help_text=_("Folder under DATA_DIR: spec, metrics, checkpoint.")
    )
    pid = models.PositiveIntegerField(null=True, blank=True)
    loss = models.FloatField(null=True, blank=True)
    seconds_left = models.FloatField(null=True, blank=True)
    seconds = models.FloatField(default=0)
    record = models.JSONField(default=dict, blank=True, help_text=_("Code and dependency versions, hardware, choice."))
    parent_encoder = models.ForeignKey(Encoder, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    parent_generator = models.ForeignKey(Generator, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    encoder = models.ForeignKey(Encoder, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    generator = models.ForeignKey(Generator, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    reranker = models.ForeignKey(Reranker, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["cycle", "component"], name="one_run_per_component_and_cycle")]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.component})"
