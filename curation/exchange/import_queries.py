"""Import queries, with the passages they were shown and the answers they got where the file has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from django.db import transaction
from django.utils.translation import gettext as _

from common.text_files import BadInput
from curation.annotation import assignments
from curation.exchange import file_formats, lookups
from curation.exchange.file_formats import QueryRow
from curation.exchange.import_result import ImportResult
from curation.exchange.lookups import PassageId
from curation.models import Draft, Project, Query
from curation.queries import intake
from retrieval.search.results import Hit

BATCH_SIZE = 2000


def import_queries(project: Project, path: Path) -> ImportResult:
    """Import the queries of a JSONL file. Queries with passages go into the queue at once, their answer as the draft.

    Rows: {"_id" or "query_id", "text", "passages": [ids]?, "answer"?, "metadata"?}. Raises BadInput.
    """
    with transaction.atomic():
        return add_queries(project, path, list(file_formats.read_queries(path)))


def add_queries(project: Project, path: Path, rows: Sequence[QueryRow]) -> ImportResult:
    """Add the queries that the project does not have. path: the file of the rows, for error messages.

    Raises BadInput for a known query with another text, and for an unknown passage.
    """
    existing = lookups.queries_by_name(project, [row.external_id for row in rows])
    for row in rows:
        query = existing.get(row.external_id)
        if query is not None and query.text != row.text:
            raise BadInput(path, row.line, _("“%(id)s” exists with another text") % {"id": row.external_id})
    new_rows = [row for row in rows if row.external_id not in existing]
    passages = _passages_of(project, path, new_rows)
    queries = Query.objects.bulk_create((_query(project, row) for row in new_rows), batch_size=BATCH_SIZE)
    pairs = [(query, row) for query, row in zip(queries, new_rows, strict=True) if row.passages]
    _freeze_imported_rankings(project, pairs, passages)
    return ImportResult(queries=len(new_rows), skipped=len(rows) - len(new_rows))


def _passages_of(project: Project, path: Path, rows: Sequence[QueryRow]) -> dict[str, PassageId]:
    passages = lookups.passages_by_name(project, {name for row in rows for name in row.passages})
    for row in rows:
        for name in row.passages:
            if name not in passages:
                raise BadInput(path, row.line, _("there is no passage “%(id)s”") % {"id": name})
    return passages


def _query(project: Project, row: QueryRow) -> Query:
    source = Query.Source.IMPORT
    return Query(project=project, external_id=row.external_id, text=row.text, source=source, metadata=row.metadata)


def _freeze_imported_rankings(
    project: Project, pairs: Sequence[tuple[Query, QueryRow]], passages: Mapping[str, PassageId]
) -> None:
    """Freeze the rankings of the file, with scores 1 / rank, store the answers as drafts, and open the slots."""
    queries = [query for query, _row in pairs]
    hits = [
        [Hit(passages[name].pk, rank, 1 / rank) for rank, name in enumerate(row.passages, start=1)]
        for _query, row in pairs
    ]
    rankings = intake.freeze_hits(queries, None, hits)
    Draft.objects.bulk_create(
        Draft(ranking=ranking, text=row.answer)
        for ranking, (_query, row) in zip(rankings, pairs, strict=True)
        if row.answer
    )
    assignments.create_open(project, queries)
