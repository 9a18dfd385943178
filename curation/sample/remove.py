"""The sample project off the table, with everything people and machines have made of it.

Rows that other rows are protected by go after those; which apps they belong to is none of this module's business.
The corpus stays, with the builds it was searched by: text that has not changed need not be embedded again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db import models, transaction
from django.db.models import ProtectedError

from curation.models import Project, Release
from retrieval.index import index_builds

_AT_ONCE = 500


def remove(slug: str) -> bool:
    """Whether there was such a project. Builds that only its releases used give their disk back, but the first."""
    project = Project.objects.filter(slug=slug).select_related("corpus").first()
    if project is None:
        return False
    corpus = project.corpus
    with transaction.atomic():
        _delete(Project.objects.filter(pk=project.pk))
    used = Release.objects.values("build")
    for build in corpus.builds.searchable().exclude(pk__in=used).order_by("number")[1:]:
        index_builds.retire(build)
    return True


def _delete(rows: models.QuerySet[Any]) -> None:
    """Delete the rows, and first whatever is in the way."""
    while True:
        try:
            with transaction.atomic():
                rows.delete()
            return
        except ProtectedError as error:
            in_the_way: dict[type[models.Model], list[Any]] = defaultdict(list)
            for row in error.protected_objects:
                in_the_way[type(row)].append(row.pk)
            for model, keys in in_the_way.items():
                for start in range(0, len(keys), _AT_ONCE):
                    _delete(model._base_manager.filter(pk__in=keys[start : start + _AT_ONCE]))
