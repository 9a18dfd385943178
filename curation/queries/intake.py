"""A query arrives: search, freeze what was shown, open the slots, draft an answer.

What a person will judge is frozen at once. The draft is written later, by a task, because it takes seconds.
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Callable, Sequence

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from curation.core import audit_log
from curation.core.errors import CurationError
from curation.models import Assignment, Draft, Project, Query, Ranking, Release, ShownPassage
from curation.queries import stratified_order
from curation.releases import generate, lifecycle, retrieve
from retrieval.search.results import Hit

# Of the queries that arrive, so many are the random sample to evaluate on; which ones follows from their ids.
EVALUATION_SHARE = 0.1
_AT_ONCE = 200


class NothingAsked(CurationError):
    """A query without a word in it."""


def ask(
    project: Project,
    text: str,
    *,
    source: str = Query.Source.PAGE,
    user: AbstractBaseUser | None = None,
    external_id: str | None = None,
) -> Query:
    """A new query with its frozen ranking and open slots; the one there is when the id has been asked before.

    Raises serving.NothingServes and NothingAsked.
    """
    text = text.strip()
    if not text:
        raise NothingAsked(_("Ask something."))
    release = lifecycle.serving(project)
    known = project.queries.filter(external_id=external_id).first() if external_id else None
    if known is not None:
        return known
    hits = retrieve.search(release, text, project.pool_depth)  # before the transaction: it may load an encoder
    with transaction.atomic():
        query, is_new = Query.objects.get_or_create(
            project=project,
            external_id=external_id or f"q-{uuid.uuid4().hex[:16]}",
            defaults={"text": text, "source": source, "asked_by_id": user.pk if user else None},
        )
        if is_new:
            freeze_hits([query], release, [hits])
            open_slots(query)
            data = {"source": source, "release": release.number}
            audit_log.note("asked", project=project, actor=user, query=query, data=data)
    return query


def freeze(query: Query, release: Release, k: int | None = None) -> Ranking:
    """What the release ranks for the query now, kept as it is: the project's pool depth, or k."""
    hits = retrieve.search(release, query.text, k or release.project.pool_depth)
    return freeze_hits([query], release, [hits])[0]


@transaction.atomic
def freeze_hits(queries: Sequence[Query], release: Release | None, hits: Sequence[Sequence[Hit]]) -> list[Ranking]:
    """A ranking for each query from passages already found; without a release, from somewhere outside."""
    build_id = release.build_id if release else None
    mode = Ranking.Mode.GIVEN if release is None else Ranking.Mode.of(release)
    rankings = Ranking.objects.bulk_create(
        Ranking(query=query, build_id=build_id, release=release, mode=mode) for query in queries
    )
    for start in range(0, len(queries), _AT_ONCE):
        some = [query.pk for query in queries[start : start + _AT_ONCE]]
        Query.objects.filter(pk__in=some, propagated_at__isnull=False).update(
            propagated_at=None
        )  # new passages to pass on to
    ShownPassage.objects.bulk_create(
        (
            ShownPassage(ranking=ranking, passage_id=hit.passage_id, rank=hit.rank, score=hit.score)
            for ranking, found in zip(rankings, hits, strict=True)
            for hit in found
        ),
        batch_size=2000,
    )
    return rankings


def open_slots(query: Query) -> list[Assignment]:
    """The open rows of the slots that nobody holds, made where they are missing. A gold question has none."""
    return open_slots_of(query.project, [query])


@transaction.atomic
def open_slots_of(project: Project, queries: Sequence[Query]) -> list[Assignment]:
    """The same for many queries at once; the slots of one query stand side by side in the random order.

    A query that comes for the first time gets its stratum, and in the random order the next place of it.
    """
    holding = Assignment.objects.filter(is_extra=False, state__in=Assignment.HOLDING)
    taken: dict[int, set[int]] = {}
    newest: dict[int, int] = {}
    for start in range(0, len(queries), _AT_ONCE):
        some = [query.pk for query in queries[start : start + _AT_ONCE]]
        newest |= dict(Ranking.objects.filter(query__in=some).order_by("pk").values_list("query_id", "pk"))
        for query_id, slot in holding.filter(query__in=some).values_list("query_id", "slot"):
            taken.setdefault(query_id, set()).add(slot)
    fresh = [query for query in queries if query.pk not in taken and query.gold is None]
    for query in fresh:
        query.is_evaluation = query.is_evaluation or _is_sampled(project, query)
    Query.objects.bulk_update([query for query in fresh if query.is_evaluation], ["is_evaluation"], batch_size=_AT_ONCE)
    places = stratified_order.place(project, fresh, newest)
    rows = []
    for query in queries:
        random_key = places[query.pk] if query.pk in places else random.random()
        wanted = range(1, (query.overlap or project.overlap) + 1) if query.gold is None else range(0)
        missing = [slot for slot in wanted if slot not in taken.get(query.pk, ())]
        place = {"project": project, "query": query, "ranking_id": newest.get(query.pk), "random_key": random_key}
        rows += [Assignment(**place, slot=slot) for slot in missing]
    return Assignment.objects.bulk_create(rows, batch_size=2000)


def take_up(project: Project, limit: int | None = None, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Freeze and open the queries that came before anything served; how many there were."""
    waiting = project.queries.filter(state=Query.State.OPEN, gold__isnull=True).order_by("pk")
    waiting = waiting.filter(~Exists(Ranking.objects.filter(query=OuterRef("pk"))))
    queries = list(waiting[:limit])
    if not queries:
        return 0
    release = lifecycle.serving(project)
    for start in range(0, len(queries), _AT_ONCE):
        some = queries[start : start + _AT_ONCE]
        hits = retrieve.search_many(release, [query.text for query in some], project.pool_depth)
        with transaction.atomic():
            freeze_hits(some, release, hits)
            open_slots_of(project, some)
        if on_progress:
            on_progress(min(start + _AT_ONCE, len(queries)), len(queries))
    return len(queries)


def draft(ranking: Ranking) -> Draft:
    """The answer that the ranking's release wrote from it; written now when there is none yet."""
    found = Draft.objects.filter(ranking=ranking).first()
    if found is not None:
        return found
    release = ranking.release or lifecycle.serving(ranking.query.project)
    shown = list(ranking.shown.select_related("passage").order_by("rank")[: release.answer_passages])
    question = generate.Question(
        ranking.query.text, [row.passage.full_text for row in shown], [row.score or 0.0 for row in shown]
    )
    began = time.monotonic()
    text = generate.write(release, [question])[0]
    written, _is_new = Draft.objects.get_or_create(
        ranking=ranking,
        defaults={"text": text, "generator": release.generator, "seconds": time.monotonic() - began},
    )
    return written


def undrafted(project: Project, limit: int) -> list[int]:
    """The rankings that people will come to next and that have no draft yet: held work first, then the queue."""
    blank = Assignment.objects.filter(project=project, ranking__isnull=False, ranking__draft=None)
    held = blank.filter(state=Assignment.State.CLAIMED).order_by("claimed_at")[:limit]
    queue = Assignment.objects.open().filter(project=project).order_by("random_key", "pk").values("pk")[: 10 * limit]
    waiting = blank.filter(pk__in=queue).order_by("random_key", "pk")
    ids = [*held.values_list("ranking_id", flat=True), *waiting.values_list("ranking_id", flat=True)]
    return [ranking_id for ranking_id in dict.fromkeys(ids) if ranking_id is not None][:limit]


def _is_sampled(project: Project, query: Query) -> bool:
    """The same query of the same project is always in the sample, or never; nobody chooses."""
    digest = hashlib.sha256(f"{project.slug}\n{query.external_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < EVALUATION_SHARE * 2**64
