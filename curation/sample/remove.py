"""Remove the sample project with all its work.

Rows that protect others are deleted first, whatever app they belong to. The corpus stays with its first index build:
unchanged text need not be embedded again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db import models, transaction
from django.db.models import ProtectedError

from curation.models import Project, Release
from retrieval.index import garbage_collection

_BATCH_SIZE = 500


def remove(slug: str) -> bool:
    """Remove the project; whether it existed. Unused index builds are retired, except the first."""
    project = Project.objects.filter(slug=slug).select_related("corpus").first()
    if project is None:
        return False
    corpus = project.corpus
    with transaction.atomic():
        _delete(Project.objects.filter(pk=project.pk))
    used = Release.objects.values("build")
    for build in corpus.builds.searchable().exclude(pk__in=used).order_by("number")[1:]:
        garbage_collection.retire(build)
    return True


def _delete(rows: models.QuerySet[Any]) -> None:
    """Delete the rows, and the rows that protect them first."""
    while True:
        try:
            with transaction.atomic():
                rows.delete()
            return
        except ProtectedError as error:
            protecting: dict[type[models.Model], list[Any]] = defaultdict(list)
            for row in error.protected_objects:
                protecting[type(row)].append(row.pk)
            for model, keys in protecting.items():
                for start in range(0, len(keys), _BATCH_SIZE):
                    _delete(model._base_manager.filter(pk__in=keys[start : start + _BATCH_SIZE]))
