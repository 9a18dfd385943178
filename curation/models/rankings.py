"""Rankings of passages for a query, and the answers drafted from them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from curation.models.queries import Query
from curation.models.releases import Generator, Release
from retrieval.models import IndexBuild, Passage


class Ranking(models.Model):
    """One ranked list of passages for a query, frozen as people see it. mode: the stage that set the order."""

    class Mode(models.TextChoices):
        HYBRID = "hybrid", _("hybrid of dense and lexical")
        RERANKED = "reranked", _("hybrid, first passages reranked")
        IMPORTED = "given", _("imported")

        @classmethod
        def of(cls, release: Release) -> Ranking.Mode:
            """Return the mode of the release's rankings."""
            return cls.HYBRID if release.reranker_id is None else cls.RERANKED

    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="rankings")
    build = models.ForeignKey(IndexBuild, null=True, blank=True, on_delete=models.PROTECT, related_name="rankings")
    release = models.ForeignKey(Release, null=True, blank=True, on_delete=models.PROTECT, related_name="rankings")
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.HYBRID)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"ranking {self.pk} of {self.query}"


class ShownPassage(models.Model):
    """One passage of a ranking. Passages that an annotator added have no score."""

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
    """The answer that a release's generator wrote from a ranking."""

    ranking = models.OneToOneField(Ranking, on_delete=models.CASCADE, related_name="draft")
    text = models.TextField()
    generator = models.ForeignKey(Generator, null=True, blank=True, on_delete=models.SET_NULL, related_name="drafts")
    seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:80]
