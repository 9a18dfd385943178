"""Events of the audit log: rows are added, never changed or removed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from curation.models.assignments import Assignment
from curation.models.projects import Project
from curation.models.queries import Query
from retrieval.models import Passage


class Unchangeable(TypeError):
    """Raised where code tries to change or remove an event."""


class EventQuerySet(models.QuerySet["Event"]):
    """Read and add events. Events are removed only together with their project."""

    def update(self, **changes: object) -> int:
        raise Unchangeable(_("Events of the audit log cannot be changed."))

    def delete(self) -> tuple[int, dict[str, int]]:
        raise Unchangeable(_("Events of the audit log cannot be removed."))


class Event(models.Model):
    """One act of a person or of the program: who did what, when."""

    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="events")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="events"
    )
    verb = models.CharField(max_length=40)
    query = models.ForeignKey(Query, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    assignment = models.ForeignKey(Assignment, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    passage = models.ForeignKey(Passage, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    data = models.JSONField(default=dict, blank=True)
    idempotency_key = models.CharField(
        max_length=80, blank=True, help_text=_("A second act with the same key has no effect.")
    )
    at = models.DateTimeField(auto_now_add=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project", "-at"], name="event_by_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["actor", "idempotency_key"], condition=~Q(idempotency_key=""), name="an_act_happens_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.verb}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Unchangeable(_("Events of the audit log cannot be changed."))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise Unchangeable(_("Events of the audit log cannot be removed."))
