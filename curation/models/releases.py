"""What answers: an index and a generator, measured as a pair."""

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
    """Weights that write answers: a folder or hub name with an optional adapter, or a server elsewhere."""

    class Kind(models.TextChoices):
        LOCAL = "local", _("local")
        API = "api", _("OpenAI-compatible server")

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.LOCAL)
    base_path = models.TextField(help_text=_("Folder or hub name of the base weights; the address of a server."))
    adapter_path = models.TextField(blank=True, help_text=_("LoRA folder under DATA_DIR."))
    sha256 = models.CharField(max_length=64, unique=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ReleaseQuerySet(models.QuerySet["Release"]):
    def serving(self) -> Self:
        return self.filter(state=Release.State.SERVING)


class Release(models.Model):
    """What answers: a build and a generator that were measured as a pair, switched and rolled back as one.

    candidate ──switch──► serving ──switch to another──► retired ──roll back──► serving
        └────────decline────► declined ──switch, where a person overrules the gate──► serving
    """

    class State(models.TextChoices):
        CANDIDATE = "candidate", _("candidate")
        SERVING = "serving", _("serving")
        RETIRED = "retired", _("retired")
        DECLINED = "declined", _("declined")

    class AnswerMode(models.TextChoices):
        TOGETHER = "together", _("one prompt with the best passages")
        PARALLEL = "parallel", _("one prompt per passage, mixed by p_R")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="releases")
    number = models.PositiveIntegerField(help_text=_("1, 2, 3 … within the project; 1 is the untuned base."))
    build = models.ForeignKey(IndexBuild, on_delete=models.PROTECT, related_name="releases")
    generator = models.ForeignKey(Generator, on_delete=models.PROTECT, related_name="releases")
    fusion_weight = models.FloatField(
        default=DEFAULT_WEIGHT, validators=SHARE, help_text=_("Share of the dense score.")
    )
    reranker = models.ForeignKey(
        Reranker,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="releases",
        help_text=_("Empty: the fused order is the last word."),
    )
    rerank_depth = models.PositiveSmallIntegerField(
        default=DEFAULT_DEPTH, help_text=_("How many passages of the fused ranking are put in another order.")
    )
    rerank_share = models.FloatField(
        default=DEFAULT_SHARE, validators=SHARE, help_text=_("Share of the reranker's score beside the fused one.")
    )
    prompt = models.TextField(help_text=_("With {passages} and {question}."))
    refusal = models.CharField(max_length=300, help_text=_("The answer when the passages hold none."))
    answer_passages = models.PositiveSmallIntegerField(default=1, help_text=_("Passages in the prompt."))
    answer_mode = models.CharField(max_length=10, choices=AnswerMode, default=AnswerMode.TOGETHER)
    state = models.CharField(max_length=10, choices=State, default=State.CANDIDATE)
    judged_share = models.FloatField(
        null=True, blank=True, validators=SHARE, help_text=_("judged@10 on the questions it was measured on.")
    )
    previous = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Served before this one."),
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
