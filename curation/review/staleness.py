"""A judgement holds for the text it was given for. When the text changes, that judgement expires, and no other.

Ingesting retires the passage; what was settled of it teaches no more, because a dataset takes active passages only.
Everything else that was settled of the query stays as it is. Here the queries are named, in the record of each and
to whoever imports, so that people can open the passage's new text for judging; a project may want it to go into the
queue by itself (rejudging.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count
from django.utils.translation import ngettext

from curation.models import Event, Judgement
from curation.review import re_annotation
from retrieval.models import Corpus, Passage

MOST_NAMED = 20


@dataclass(frozen=True)
class Expired:
    """judgements that no longer count, and the queries they were of: (project's slug, external id), in order."""

    judgements: int
    queries: list[tuple[str, str]]

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the person; nothing when nothing expired."""
        if not self.judgements:
            return ()
        listed = ", ".join(f"{slug}/{name}" for slug, name in self.queries[:MOST_NAMED])
        text = ngettext(
            "%(n)d judgement no longer counts, because the text of its passage has changed: %(queries)s",
            "%(n)d judgements no longer count, because the text of their passages has changed: %(queries)s",
            self.judgements,
        )
        more = ", …" if len(self.queries) > MOST_NAMED else ""
        return (text % {"n": self.judgements, "queries": listed + more},)


@transaction.atomic
def note(corpus: Corpus, since: datetime) -> Expired:
    """Name what people had submitted of passages that were retired from `since` on; a line in the record for each.

    since: taken before the documents came in. Called twice it would note twice: once after each import.
    """
    gone = Passage.objects.filter(corpus=corpus, retired_at__gte=since)
    standing = Judgement.objects.submitted().filter(passage__in=gone, assignment__is_extra=False)
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
    re_annotation.open_edited(corpus, gone)
    queries = {row["query"]: (row["query__project__slug"], row["query__external_id"]) for row in rows}
    return Expired(sum(row["count"] for row in rows), list(queries.values()))
