"""The licence of a corpus, which every dataset card states."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from common.field_changes import set_changed_fields
from curation.core import audit_log
from retrieval.models import Corpus


@transaction.atomic
def change_licence(corpus: Corpus, licence: str, *, actor: AbstractBaseUser) -> None:
    """Change the licence of the corpus; the change is an event in the audit log of each project that uses it."""
    row = Corpus.objects.select_for_update().get(pk=corpus.pk)
    data = set_changed_fields(row, {"licence": licence})
    if not data["was"]:
        return
    row.save(update_fields=["licence"])
    for project in row.projects.all():
        audit_log.record("licence_changed", project=project, actor=actor, data=data)
