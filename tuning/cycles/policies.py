"""Changes of a project's policy: the schedule of its training cycles and the requirements of its gate."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from common.field_changes import set_changed_fields
from curation.core import audit_log
from curation.models import Project
from tuning.models import Policy
from tuning.training import training_runs


@transaction.atomic
def change_policy(project: Project, changes: Mapping[str, object], *, actor: AbstractBaseUser) -> Policy:
    """Change these fields of the project's policy, with an event in the audit log.

    changes: fields of the policy, and `reranker`, the one setting of the runs that has a field in the form.
    """
    Project.objects.select_for_update().get(pk=project.pk)  # otherwise two requests could create two policies
    row = Policy.of(project)
    had_reranker = training_runs.is_reranker_enabled(row.settings)
    has_reranker = bool(changes.get("reranker", had_reranker))
    data = set_changed_fields(row, {name: value for name, value in changes.items() if name != "reranker"})
    if has_reranker != had_reranker:
        data["was"]["reranker"], data["now"]["reranker"] = had_reranker, has_reranker
    row.settings = training_runs.with_reranker(row.settings, has_reranker)
    row.save()
    if data["was"]:
        audit_log.record("policy_changed", project=project, actor=actor, data=data)
    return row
