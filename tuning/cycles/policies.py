"""The rules of a loop change: when it starts, what its gate asks, what it must not forget, whose texts it learns from.

Each change is a line of the record with what was and what is, as those of the project itself are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import models, transaction

from curation.core import audit_log
from curation.models import Project
from retrieval.models import Corpus
from tuning.models import GuardrailSet, Policy
from tuning.training import training_runs


@transaction.atomic
def change_policy(project: Project, wanted: Mapping[str, object], *, actor: AbstractBaseUser) -> Policy:
    """The project's policy with these fields from now on; `reranker` is the one setting that has a field of its own."""
    Project.objects.select_for_update().get(pk=project.pk)  # two first policies at once would be one too many
    row = Policy.of(project)
    fields, has_reranker = dict(wanted), training_runs.wants_reranker(row.settings)
    data = _set(row, {name: value for name, value in fields.items() if name != "reranker"})
    wants_reranker = bool(fields.get("reranker", has_reranker))
    if wants_reranker != has_reranker:
        data["was"]["reranker"], data["now"]["reranker"] = has_reranker, wants_reranker
    row.settings = training_runs.with_reranker(row.settings, wants_reranker)
    row.save()
    if data["was"]:
        audit_log.note("policy_changed", project=project, actor=actor, data=data)
    return row


@transaction.atomic
def change_guardrail_set(guardrail_set: GuardrailSet, wanted: Mapping[str, object], *, actor: AbstractBaseUser) -> None:
    """Whether the set is asked from now on, and how much worse a challenger may be on it."""
    row = GuardrailSet.objects.select_for_update().get(pk=guardrail_set.pk)
    data = _set(row, wanted)
    if data["was"]:
        row.save(update_fields=list(data["now"]))
        audit_log.note("guard_changed", project=row.project_id, actor=actor, data={"guard": row.name, **data})


@transaction.atomic
def change_licence(corpus: Corpus, licence: str, *, actor: AbstractBaseUser) -> None:
    """What the texts may be used for; every project that searches them has the line."""
    row = Corpus.objects.select_for_update().get(pk=corpus.pk)
    data = _set(row, {"licence": licence})
    if data["was"]:
        row.save(update_fields=["licence"])
        for project in row.projects.all():
            audit_log.note("licence_changed", project=project, actor=actor, data=data)


def _set(row: models.Model, wanted: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Set the fields that differ, without saving them: {"was": …, "now": …} of these."""
    was = {name: getattr(row, name) for name in wanted if getattr(row, name) != wanted[name]}
    for name in was:
        setattr(row, name, wanted[name])
    return {"was": was, "now": {name: wanted[name] for name in was}}
