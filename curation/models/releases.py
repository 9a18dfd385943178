"""Releases: an index and a generator that are evaluated and promoted together."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from curation.models.projects import SHARE, Project
from retrieval.engine.encoders.cross_encoder import DEFAULT_DEPTH, DEFAULT_SHARE
from retrieval.engine.indexes.score_fusion import DEFAULT_WEIGHT
from retrieval.models import IndexBuild, Reranker


class Generator(models.Model):
    """A language model that writes answers: local weights with an optional adapter, or a server."""

    class Kind(models.TextChoices):
        LOCAL = "local", _("local")
        API = "api", _("OpenAI-compatible server")

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.LOCAL)
    base_path = models.TextField(help_text=_("Folder or hub name of the base weights, or the address of a server."))
    adapter_path = models.TextField(blank=True, help_text=_("Folder of the LoRA adapter, under DATA_DIR."))
    sha256 = models.CharField(max_length=64, unique=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ReleaseQuerySet(models.QuerySet["Release"]):
    def live(self) -> Self:
        """The release that answers, at most one per project."""
        return self.filter(state=Release.State.LIVE)


class Release(models.Model):
    """One version of a project's assistant: index build, reranker, generator and prompt. One of them is live.

    candidate ──promote──► serving ──another is promoted──► retired ──roll back──► serving
        └───────decline────► declined ──promote, where a person overrules the gate──► serving
    """

    class State(models.TextChoices):
        CANDIDATE = "candidate", _("candidate")
        LIVE = "serving", _("live")
        RETIRED = "retired", _("retired")
        DECLINED = "declined", _("declined")

    class AnswerMode(models.TextChoices):
        TOGETHER = "together", _("one prompt with the first passages")
        PARALLEL = "parallel", _("one prompt per passage, ensemble weighted by p_R")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="releases")
    number = models.PositiveIntegerField(help_text=_("1, 2, 3 … in the project; 1 is the untuned base release."))
    build = models.ForeignKey(IndexBuild, on_delete=models.PROTECT, related_name="releases")
    generator = models.ForeignKey(Generator, on_delete=models.PROTECT, related_name="releases")
    fusion_weight = models.FloatField(
        _("dense weight"), default=DEFAULT_WEIGHT, validators=SHARE, help_text=_("Weight of the dense score, 0–1.")
    )
    reranker = models.ForeignKey(
        Reranker,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="releases",
        help_text=_("Empty: the hybrid ranking is final."),
    )
    rerank_depth = models.PositiveSmallIntegerField(
        default=DEFAULT_DEPTH, help_text=_("How many passages of the hybrid ranking are reranked.")
    )
    rerank_share = models.FloatField(
        default=DEFAULT_SHARE,
        validators=SHARE,
        help_text=_("Weight of the reranker's score against the hybrid score, 0–1."),
    )
    prompt = models.TextField(help_text=_("Template with {passages} and {question}."))
    refusal = models.CharField(max_length=300, help_text=_("The answer when the passages contain none."))
    answer_passages = models.PositiveSmallIntegerField(default=1, help_text=_("Passages in the prompt."))
    answer_mode = models.CharField(max_length=10, choices=AnswerMode, default=AnswerMode.TOGETHER)
    state = models.CharField(max_length=10, choices=State, default=State.CANDIDATE)
    judged_share = models.FloatField(
        null=True, blank=True, validators=SHARE, help_text=_("judged@10 on the test split.")
    )
    previous = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("The release that was live before this one."),
    )
    created_at = models.DateTimeField(auto_now_add=True)
    served_at = models.DateTimeField(null=True, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_release_per_number"),
            models.UniqueConstraint(fields=["project"], condition=Q(state="serving"), name="one_serving_release"),
        ]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.project} release {self.number}"
