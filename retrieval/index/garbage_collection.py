"""Garbage collection of index builds: delete the files of retired builds, and leftovers of workers that died."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from common import artifacts
from retrieval.index.vector_store import SHARDS_SUFFIX, key_of_build, vectors_folder
from retrieval.models import IndexBuild

_KEEP_PARTS_SECONDS = 24 * 3600
_KEEP_SHARDS_SECONDS = 7 * 24 * 3600


def retire(index_build: IndexBuild) -> None:
    """Retire a build: delete its files and keep its row. Vectors that another build searches stay too.

    The caller makes sure that no release serves this build or can be rolled back to it.
    """
    with transaction.atomic():
        IndexBuild.objects.filter(pk=index_build.pk).update(retired_at=timezone.now())
        index_build.refresh_from_db()
    if not index_build.path:
        return
    folder = settings.DATA_DIR / index_build.path
    key = key_of_build(folder)
    artifacts.remove_folder(folder)
    others = IndexBuild.objects.searchable().exclude(pk=index_build.pk)
    keys_in_use = {key_of_build(settings.DATA_DIR / other.path) for other in others}
    if key and key not in keys_in_use and not IndexBuild.objects.running().exists():
        artifacts.remove_folder(vectors_folder(key))


def remove_leftovers() -> None:
    """Delete unfinished files of workers that died, once they are too old for any build to resume from them."""
    for name in ("builds", "vectors", "encoders"):
        artifacts.clear_parts(Path(settings.DATA_DIR) / name, _KEEP_PARTS_SECONDS)
    oldest = time.time() - _KEEP_SHARDS_SECONDS
    for shards in (Path(settings.DATA_DIR) / "vectors").glob(f"*{SHARDS_SUFFIX}"):
        if shards.stat().st_mtime < oldest:
            shutil.rmtree(shards, ignore_errors=True)
