"""What was asked, what was shown for it, and what was drafted."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from curation.engine.text import similarity
from curation.models.projects import Project
from curation.models.releases import Generator, Release
from retrieval.models import Encoder, IndexBuild, Passage


class TextKeyField(models.CharField):
    """The name of the row's text, written with the row: equal where only case and punctuation differ."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        name = similarity.name_of(getattr(model_instance, "text", ""))
        setattr(model_instance, self.attname, name)
        return name

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class QueryQuerySet(models.QuerySet["Query"]):
    def settled(self) -> Self:
        return self.filter(state=Query.State.SETTLED)

    def waiting(self) -> Self:
        """Asked, and not yet settled."""
        return self.exclude(state=Query.State.SETTLED)


class Query(models.Model):
    """A question someone really asked.

    open ──every slot submitted──► judged ──agree──► settled ──reopen──► in review
                                     │                  ▲
                                     └─disagree─► in review (settle, or return → open)
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        JUDGED = "judged", _("judged")
        IN_REVIEW = "in_review", _("in review")
        SETTLED = "settled", _("settled")

    class Source(models.TextChoices):
        PAGE = "page", _("page")
        API = "api", "API"
        COMMAND = "command", _("command")
        IMPORT = "import", _("import")
        SAMPLE = "sample", _("sample")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="queries")
    external_id = models.CharField(max_length=300)
    text = models.TextField()
    source = models.CharField(max_length=10, choices=Source, default=Source.PAGE)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    overlap = models.PositiveSmallIntegerField(null=True, blank=True, help_text=_("Overrides the project's."))
    metadata = models.JSONField(default=dict, blank=True)
    text_key = TextKeyField(max_length=16, db_default="", editable=False, help_text=_("Of the text; finds repeats."))
    stratum = models.CharField(
        max_length=100, blank=True, help_text=_("The document it found first: queries of one subject.")
    )
    propagated_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("When its grades were last passed on; empty: due.")
    )
    disagreement = models.FloatField(
        null=True, blank=True, help_text=_("0–1, of retriever and language model when last trained; empty: unknown.")
    )
    is_evaluation = models.BooleanField(default=False, help_text=_("Of the random evaluation sample; never steered."))
    gold = models.JSONField(null=True, blank=True, help_text=_("Known grades, passage id → grade: a gold question."))
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="asked"
    )
    asked_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = QueryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "queries"
        constraints = [models.UniqueConstraint(fields=["project", "external_id"], name="one_query_per_id")]
        indexes = [
            models.Index(fields=["project", "state"], name="query_by_state"),
            models.Index(fields=["project", "settled_at"], name="query_by_settled"),
            models.Index(fields=["project"], condition=Q(gold__isnull=False), name="gold_by_project"),
            models.Index(fields=["project", "text_key"], name="query_by_text"),
            models.Index(fields=["project", "stratum"], name="query_by_stratum"),
            models.Index(fields=["project", "settled_at"], condition=Q(propagated_at=None), name="query_to_propagate"),
            models.Index(fields=["project", "asked_at"], condition=Q(state="open"), name="open_by_age"),
            models.Index(
                fields=["project", "stratum"], condition=Q(disagreement__isnull=False), name="query_by_disagreement"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]

    @property
    def slots(self) -> int:
        """How many people are to judge it."""
        return self.overlap or self.project.overlap


class QueryVector(models.Model):
    """Where a query lies as one encoder sees it: tells that two ask the same in other words. Made by a worker."""

    query = models.OneToOneField(Query, on_delete=models.CASCADE, related_name="vector")
    encoder = models.ForeignKey(Encoder, on_delete=models.CASCADE, related_name="+")
    text_key = models.CharField(max_length=16, help_text=_("Of the text it was made of."))
    values = models.BinaryField(help_text=_("Of unit length, two bytes a number."))

    def __str__(self) -> str:
        return f"{self.query} · {self.encoder}"


class Ranking(models.Model):
    """What a build answered to a query, frozen as it was shown. mode: which stage had the last word on the order."""

    class Mode(models.TextChoices):
        HYBRID = "hybrid", _("fused of dense and lexical")
        RERANKED = "reranked", _("fused, its first passages reranked")
        GIVEN = "given", _("from outside")

        @classmethod
        def of(cls, release: Release) -> Ranking.Mode:
            """How the release orders."""
            return cls.HYBRID if release.reranker_id is None else cls.RERANKED

    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="rankings")
    build = models.ForeignKey(IndexBuild, null=True, blank=True, on_delete=models.PROTECT, related_name="rankings")
    release = models.ForeignKey(Release, null=True, blank=True, on_delete=models.PROTECT, related_name="rankings")
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.HYBRID)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"ranking {self.pk} of {self.query}"


class ShownPassage(models.Model):
    """One place of a ranking. Passages that a curator added by search have no score."""

    ranking = models.ForeignKey(Ranking, on_delete=models.CASCADE, related_name="shown")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="shown")
    rank = models.PositiveSmallIntegerField(help_text=_("From 1."))
    score = models.FloatField(null=True, blank=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["rank"]
        constraints = [
            models.UniqueConstraint(fields=["ranking", "passage"], name="a_passage_is_shown_once"),
            models.UniqueConstraint(fields=["ranking", "rank"], name="one_passage_per_rank"),
        ]

    def __str__(self) -> str:
        return f"{self.rank}. {self.passage}"


class Draft(models.Model):
    """The answer a release's generator wrote from a ranking."""

    ranking = models.OneToOneField(Ranking, on_delete=models.CASCADE, related_name="draft")
    text = models.TextField()
    generator = models.ForeignKey(Generator, null=True, blank=True, on_delete=models.SET_NULL, related_name="drafts")
    seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:80]
