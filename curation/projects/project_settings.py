"""Project settings and guidelines: each change is an event of the audit log."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from common.jobs import enqueue
from curation.core import audit_log
from curation.models import Guidelines, Project


@transaction.atomic
def change(project: Project, values: Mapping[str, object], *, actor: AbstractBaseUser) -> None:
    """Set these fields of the project, with the old and the new values in the audit log.

    After a new overlap, a worker opens and closes the slots of open queries.
    """
    row = Project.objects.select_for_update().get(pk=project.pk)
    was = {name: getattr(row, name) for name in values if getattr(row, name) != values[name]}
    if not was:
        return
    now = {name: values[name] for name in was}
    for name, value in now.items():
        setattr(row, name, value)
    row.save(update_fields=list(now))
    audit_log.record("settings_changed", project=row, actor=actor, data={"was": was, "now": now})
    if "overlap" in now:
        enqueue("curation.tasks.adjust_slots", row.pk)


@transaction.atomic
def write_guidelines(project: Project, text: str, *, actor: AbstractBaseUser) -> Guidelines:
    """Save the text as the next version; return the last version where it has the same text."""
    Project.objects.select_for_update().get(pk=project.pk)  # two versions at once would get one number
    last = project.guidelines.first()
    if last is not None and last.text == text:
        return last
    guidelines = Guidelines.objects.create(project=project, version=last.version + 1 if last else 1, text=text)
    audit_log.record("guidelines_written", project=project, actor=actor, data={"version": guidelines.version})
    return guidelines
