"""Queries that people asked, and their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from curation.engine.text import similarity
from curation.models.projects import Project
from retrieval.models import Encoder

if TYPE_CHECKING:
    CharField = models.CharField[str, str]
else:
    CharField = models.CharField


class TextKeyField(CharField):
    """Key of the row's text, computed at each save. Texts that differ in case and punctuation only have one key."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        text_key = similarity.text_key(getattr(model_instance, "text", ""))
        setattr(model_instance, self.attname, text_key)
        return text_key

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class QueryQuerySet(models.QuerySet["Query"]):
    def settled(self) -> Self:
        return self.filter(state=Query.State.SETTLED)


class Query(models.Model):
    """One question that somebody asked the assistant.

    open ──every slot submitted──► judged ──agree──► settled ──reopen──► in review
                                     │                  ▲
                                     └─disagree─► in review (settle, or return → open)
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        JUDGED = "judged", _("judged")
        IN_REVIEW = "in_review", _("in review")
        SETTLED = "settled", _("resolved")

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
    overlap = models.PositiveSmallIntegerField(
        _("annotators of this query"), null=True, blank=True, help_text=_("Empty: as many as the project says.")
    )
    metadata = models.JSONField(default=dict, blank=True)
    text_key = TextKeyField(
        max_length=16, db_default="", editable=False, help_text=_("Key of the text; equal for repeated queries.")
    )
    stratum = models.CharField(
        max_length=100, blank=True, help_text=_("The document of its first passage; groups queries of one topic.")
    )
    propagated_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("When grades were last suggested from this query; empty: due."),
    )
    disagreement = models.FloatField(
        null=True,
        blank=True,
        help_text=_("Divergence of retriever and language model in the last training, 0–1; empty: unknown."),
    )
    is_evaluation = models.BooleanField(
        default=False, help_text=_("In the random evaluation sample; never picked by priority.")
    )
    gold = models.JSONField(null=True, blank=True, help_text=_("Passage id → known grade; set for gold questions."))
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
        """How many people judge the query."""
        return self.overlap or self.project.overlap


class QueryVector(models.Model):
    """A query's vector from one encoder, which finds paraphrases of the query. Written by a worker."""

    query = models.OneToOneField(Query, on_delete=models.CASCADE, related_name="vector")
    encoder = models.ForeignKey(Encoder, on_delete=models.CASCADE, related_name="+")
    text_key = models.CharField(max_length=16, help_text=_("Key of the encoded text."))
    values = models.BinaryField(help_text=_("float16 values of a vector of unit length."))

    def __str__(self) -> str:
        return f"{self.query} · {self.encoder}"
