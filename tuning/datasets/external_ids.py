"""External ids and texts of a dataset's rows, looked up for many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from curation.models import Project
from retrieval.models import Passage
from tuning.engine.data.examples import JudgedQuery

_BATCH = 1000


class ExternalIds:
    """External ids of the queries and passages of some rows, and the texts of these passages."""

    def __init__(self, project: Project, rows: list[JudgedQuery]) -> None:
        queries = project.queries.filter(pk__in=[int(row.query_id) for row in rows])
        self._query_ids = {str(pk): external_id for pk, external_id in queries.values_list("pk", "external_id")}
        passage_ids = {int(passage_id) for row in rows for passage_id in (*row.grades, *row.cited)}
        self._passages = {str(pk): passage for pk, passage in Passage.objects.in_bulk(passage_ids).items()}

    def query(self, query_id: str) -> str:
        """Return the external id of the query."""
        return self._query_ids[query_id]

    def passage(self, passage_id: str) -> str:
        """Return the external id of the passage."""
        return self._passages[passage_id].external_id

    def text(self, passage_id: str) -> str:
        """Return the title and the text of the passage."""
        return self._passages[passage_id].full_text


def with_external_ids(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[tuple[JudgedQuery, ExternalIds]]:
    """Return each row with the external ids of its batch."""
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH)):
        ids = ExternalIds(project, batch)
        yield from ((row, ids) for row in batch)
