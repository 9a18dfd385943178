"""Evaluations of a challenger against the champion, the gate's decisions, and people's votes."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from common.jobs import Job, JobQuerySet
from common.messages import MessageField
from common.renamed_keys import with_current_keys
from curation.models import Query, Release, Unchangeable
from tuning.models.cycles import Cycle
from tuning.models.datasets import Dataset


class Evaluation(Job):
    """Champion and challenger, measured on the same held-out queries."""

    cycle = models.OneToOneField(Cycle, on_delete=models.CASCADE, related_name="evaluation")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="evaluations")
    champion = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    challenger = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="evaluations")
    measures = models.JSONField(
        default=dict,
        help_text=_("Measure → {champion, challenger, difference, low, high, p, queries, judged@10…}."),
    )
    per_query = models.JSONField(default=dict, help_text=_("Query → measure → [champion, challenger]."))
    reranking = models.JSONField(
        default=dict, blank=True, help_text=_("Gain and latency of the challenger's reranker; empty: it has none.")
    )

    objects = JobQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.challenger} against {self.champion}"

    @property
    def tradeoff(self) -> dict[str, Any]:
        """`reranking` under the keys of today, for rows that an earlier version wrote."""
        return with_current_keys("reranker tradeoff", self.reranking)


class Decision(models.Model):
    """The gate's decision on a challenger, with its numbers and its reason as one sentence."""

    evaluation = models.OneToOneField(Evaluation, on_delete=models.PROTECT, related_name="decision")
    promoted = models.BooleanField()
    reason = MessageField()
    numbers = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.reason)


class ComparisonPair(models.Model):
    """Results of champion and challenger for one test query, stored where they differ, for people to compare.

    A side is {"passages": ids, best first, "answer": a text, or null where no answer was generated}.
    """

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="pairs")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="+")
    champion = models.JSONField()
    challenger = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["evaluation", "query"], name="one_pair_per_query")]

    def __str__(self) -> str:
        return f"{self.evaluation}: {self.query}"


class VoteQuerySet(models.QuerySet["Vote"]):
    """Votes can be read and added only: a person who has voted has seen which release is which."""

    def update(self, **changes: object) -> int:
        raise Unchangeable(_("A vote cannot be changed."))

    def delete(self) -> tuple[int, dict[str, int]]:
        raise Unchangeable(_("A vote cannot be changed."))


class Vote(models.Model):
    """One person's blind preference between the two sides of a pair. Rows are only ever added."""

    class Choice(models.TextChoices):
        CHAMPION = "champion", _("champion")
        CHALLENGER = "challenger", _("challenger")
        TIE = "tie", _("tie")
        NEITHER = "neither", _("neither")

    pair = models.ForeignKey(ComparisonPair, on_delete=models.CASCADE, related_name="votes")
    voter = models.ForeignKey(django_settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="votes")
    choice = models.CharField(max_length=10, choices=Choice)
    champion_was_a = models.BooleanField(help_text=_("Whether side A of the person's page was the champion."))
    at = models.DateTimeField(auto_now_add=True)

    objects = VoteQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pair", "voter"], name="one_vote_per_person_and_pair")]

    def __str__(self) -> str:
        return f"{self.voter}: {self.choice}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Unchangeable(_("A vote cannot be changed."))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise Unchangeable(_("A vote cannot be changed."))
