"""Intake: a query arrives, is searched, and its ranking is frozen.

What a person will judge is frozen at once. The assignments are created in the same transaction by the annotation room,
which listens to `queries_ready`. A worker drafts the answer afterwards, because that takes seconds.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from common.batches import batches
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.models import Project, Query, Ranking, Release, ShownPassage
from curation.queries import drafts
from curation.queries.signals import queries_ready
from curation.releases import lifecycle, retrieve
from retrieval.search.results import Hit

_BATCH_SIZE = 200


class EmptyQuery(CurationError):
    """The query has no text."""


def ask(
    project: Project,
    text: str,
    *,
    source: str = Query.Source.PAGE,
    user: AbstractBaseUser | None = None,
    external_id: str | None = None,
) -> Query:
    """Create a query with its frozen ranking and its assignments, and have its answer drafted.

    A known external_id returns the query that has it. Raises EmptyQuery, NoLiveRelease.
    """
    text = text.strip()
    if not text:
        raise EmptyQuery(_("Type a question first."))
    release = lifecycle.live_release(project)
    query = project.queries.filter(external_id=external_id).first() if external_id else None
    if query is None:
        hits = retrieve.search(release, text, project.pool_depth)  # before the transaction: it may load an encoder
        query = _create(project, text, source, user, external_id, release, hits)
    drafts.enqueue_draft(query)
    return query


@transaction.atomic
def _create(
    project: Project,
    text: str,
    source: str,
    user: AbstractBaseUser | None,
    external_id: str | None,
    release: Release,
    hits: Sequence[Hit],
) -> Query:
    query, is_new = Query.objects.get_or_create(
        project=project,
        external_id=external_id or f"q-{uuid.uuid4().hex[:16]}",
        defaults={"text": text, "source": source, "asked_by_id": user.pk if user else None},
    )
    if is_new:
        freeze_hits([query], release, [hits])
        queries_ready.send(sender=Query, project=project, queries=[query])
        data = {"source": source, "release": release.number}
        audit_log.record("asked", project=project, actor=user, query=query, data=data)
    return query


def freeze(query: Query, release: Release, k: int | None = None) -> Ranking:
    """Search for the query with the release and freeze the ranking. k: passages; default: the project's pool depth."""
    hits = retrieve.search(release, query.text, k or release.project.pool_depth)
    return freeze_hits([query], release, [hits])[0]


@transaction.atomic
def freeze_hits(queries: Sequence[Query], release: Release | None, hits: Sequence[Sequence[Hit]]) -> list[Ranking]:
    """Store a ranking for each query from the hits of a search, in the same order.

    release: None where the ranking comes from outside.
    """
    build_id = release.build_id if release else None
    mode = Ranking.Mode.IMPORTED if release is None else Ranking.Mode.of(release)
    rankings = Ranking.objects.bulk_create(
        Ranking(query=query, build_id=build_id, release=release, mode=mode) for query in queries
    )
    for ids in batches([query.pk for query in queries], _BATCH_SIZE):
        # Grades may be propagated to the new passages.
        Query.objects.filter(pk__in=ids, propagated_at__isnull=False).update(propagated_at=None)
    shown = (
        ShownPassage(ranking=ranking, passage_id=hit.passage_id, rank=hit.rank, score=hit.score)
        for ranking, query_hits in zip(rankings, hits, strict=True)
        for hit in query_hits
    )
    ShownPassage.objects.bulk_create(shown, batch_size=2000)
    return rankings


def freeze_waiting(
    project: Project, limit: int | None = None, on_progress: Callable[[int, int], None] | None = None
) -> int:
    """Freeze the rankings of open queries that have none, because no release was live; return how many.

    Their assignments are created in the same transaction. Raises NoLiveRelease where there is such a query.
    """
    waiting = project.queries.filter(state=Query.State.OPEN, gold__isnull=True).order_by("pk")
    queries = list(waiting.filter(~Exists(Ranking.objects.filter(query=OuterRef("pk"))))[:limit])
    if not queries:
        return 0
    release = lifecycle.live_release(project)
    done = 0
    for batch in batches(queries, _BATCH_SIZE):
        hits = retrieve.search_many(release, [query.text for query in batch], project.pool_depth)
        with transaction.atomic():
            freeze_hits(batch, release, hits)
            queries_ready.send(sender=Query, project=project, queries=batch)
        done += len(batch)
        if on_progress:
            on_progress(done, len(queries))
    return len(queries)
