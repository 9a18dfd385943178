"""Staleness: a judgement is valid for the text it was given for, and becomes stale when that text changes.

An ingest or a withdrawal retires passages and sends `passages_retired`; the receiver here is the only place where
judgements become stale. Datasets contain active passages only, so a stale judgement no longer counts; the query's other
judgements do. The audit log of each query records it, and the importer is told which queries are concerned, so that
people can judge the new text. A project may queue the new text by itself
(`annotation.re_annotation`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils.translation import ngettext

from curation.models import Event, Judgement
from retrieval.documents.ingest import IngestResult
from retrieval.models import Corpus, Passage

MAX_LISTED_QUERIES = 20


@dataclass(frozen=True)
class StaleJudgements:
    """Number of judgements that became stale, and their queries as (project's slug, external id), in order."""

    judgements: int
    queries: list[tuple[str, str]]

    @property
    def notes(self) -> tuple[str, ...]:
        """Return a note for the importer; nothing when no judgement became stale."""
        if not self.judgements:
            return ()
        listed = ", ".join(f"{slug}/{name}" for slug, name in self.queries[:MAX_LISTED_QUERIES])
        text = ngettext(
            "%(n)d judgement no longer counts, because the text of its passage has changed: %(queries)s",
            "%(n)d judgements no longer count, because the text of their passages has changed: %(queries)s",
            self.judgements,
        )
        more = ", …" if len(self.queries) > MAX_LISTED_QUERIES else ""
        return (text % {"n": self.judgements, "queries": listed + more},)


def of_ingest(result: IngestResult) -> StaleJudgements:
    """Return the judgements that became stale by one or more ingests."""
    return _total(effect for effect in result.effects if isinstance(effect, StaleJudgements))


def on_passages_retired(
    sender: type[Passage], *, corpus: Corpus, passages: QuerySet[Passage], **signal: object
) -> StaleJudgements:
    """Receive `passages_retired`: make the submitted judgements of these passages stale, in its transaction."""
    return mark_stale(corpus, passages)


@transaction.atomic
def mark_stale(corpus: Corpus, retired: QuerySet[Passage]) -> StaleJudgements:
    """Record in the audit log that the submitted judgements of retired passages became stale.

    To be called once for each retired passage: a second call would record it twice.
    """
    standing = Judgement.objects.submitted().filter(passage__in=retired, assignment__is_extra=False)
    named = ("query__project", "query__project__slug", "query", "query__external_id")
    rows = standing.order_by("query").values(*named, "passage", "passage__external_id").annotate(count=Count("pk"))
    Event.objects.bulk_create(
        (
            Event(
                project_id=row["query__project"],
                verb="expired",
                query_id=row["query"],
                passage_id=row["passage"],
                data={"passage": row["passage__external_id"], "judgements": row["count"]},
            )
            for row in rows
        ),
        batch_size=2000,
    )
    queries = {row["query"]: (row["query__project__slug"], row["query__external_id"]) for row in rows}
    return StaleJudgements(sum(row["count"] for row in rows), list(queries.values()))


def _total(effects: Iterable[StaleJudgements]) -> StaleJudgements:
    judgements, queries = 0, dict[tuple[str, str], None]()
    for effect in effects:
        judgements += effect.judgements
        queries |= dict.fromkeys(effect.queries)
    return StaleJudgements(judgements, list(queries))
