"""Models of the corpus (documents, passages) and of its index builds, encoders and rerankers."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from common.jobs import Job, JobQuerySet


class Corpus(models.Model):
    """A collection of documents that is searched as one."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    licence = models.CharField(max_length=200, blank=True, help_text=_("Of the texts, as an SPDX name or in words."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "corpora"

    def __str__(self) -> str:
        return self.slug


class RetirableQuerySet(models.QuerySet[Any, Any]):
    """Rows that can be retired: documents and passages."""

    def active(self) -> Self:
        """Rows that are not retired."""
        return self.filter(retired_at=None)


class Document(models.Model):
    """One imported document: a page, a file, or a row of a collection."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="documents")
    external_id = models.CharField(max_length=300)
    title = models.TextField(blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    content_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = RetirableQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["corpus", "external_id"], condition=Q(retired_at=None), name="one_active_document_per_id"
            )
        ]

    def __str__(self) -> str:
        return self.title or self.external_id


class Passage(models.Model):
    """A passage: the unit of retrieval and judgement. Immutable: new text is a new row, and the old one is retired."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="passages")
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="passages")
    external_id = models.CharField(max_length=320)
    position = models.PositiveIntegerField(default=0, help_text=_("Its place in the document, from 0."))
    title = models.TextField(blank=True)
    text = models.TextField()
    content_hash = models.CharField(max_length=64, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = RetirableQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["corpus", "external_id"], condition=Q(retired_at=None), name="one_active_passage_per_id"
            )
        ]

    def __str__(self) -> str:
        return self.external_id

    @property
    def full_text(self) -> str:
        """Title and text, as the encoder, the lexical index and the generator read them."""
        return f"{self.title}\n{self.text}" if self.title else self.text


class Encoder(models.Model):
    """The weights of a bi-encoder, with the prefixes and the temperature that belong to them.

    Query and passage encoder may differ: training the query encoder alone keeps the passage encoder and its vectors.
    """

    name = models.CharField(max_length=200)
    query_path = models.TextField(help_text=_("Folder, or hub name, of the query side."))
    passage_path = models.TextField(help_text=_("Folder, or hub name, of the passage side."))
    query_hash = models.CharField(max_length=64)
    passage_hash = models.CharField(max_length=64)
    query_prefix = models.CharField(max_length=100, blank=True)
    passage_prefix = models.CharField(max_length=100, blank=True)
    dim = models.PositiveIntegerField()
    temperature = models.FloatField(default=0.05, help_text=_("T_R of softmax(q·d / T_R); belongs to the weights."))
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["query_hash", "passage_hash", "query_prefix", "passage_prefix"], name="one_row_per_encoder"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Reranker(models.Model):
    """The weights of a cross-encoder that reranks the top passages of a ranking."""

    name = models.CharField(max_length=200)
    path = models.CharField(max_length=300, help_text=_("Folder under DATA_DIR."))
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class BuildQuerySet(JobQuerySet):
    """Index builds by state."""

    def searchable(self) -> Self:
        """Finished builds that are not retired: their files exist."""
        return self.done().filter(retired_at=None)


class IndexBuild(Job):
    """One index of a corpus: the vectors of one encoder, and a lexical index."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="builds")
    number = models.PositiveIntegerField(help_text=_("1, 2, 3 … within the corpus."))
    encoder = models.ForeignKey(Encoder, on_delete=models.PROTECT, related_name="builds")
    passage_count = models.PositiveIntegerField(default=0)
    path = models.CharField(max_length=300, blank=True, help_text=_("Folder under DATA_DIR."))
    sha256 = models.CharField(max_length=64, blank=True)
    seconds = models.FloatField(default=0)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = BuildQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["corpus", "number"], name="one_build_per_number")]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.corpus} build {self.number}"
