"""The ids of a dataset's rows → the ids and texts of the outside, looked up for many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from curation.models import Project
from retrieval.models import Passage
from tuning.engine.data.examples import JudgedQuery

_BATCH = 1000


class Names:
    """query: query_id → the query's own id; passage and text: of a passage_id that one of the rows names."""

    def __init__(self, project: Project, rows: list[JudgedQuery]) -> None:
        queries = project.queries.filter(pk__in=[int(row.query_id) for row in rows])
        self.query = {str(pk): name for pk, name in queries.values_list("pk", "external_id")}
        wanted = {int(passage_id) for row in rows for passage_id in (*row.grades, *row.cited)}
        self._passages = {str(pk): passage for pk, passage in Passage.objects.in_bulk(wanted).items()}

    def passage(self, passage_id: str) -> str:
        return self._passages[passage_id].external_id

    def text(self, passage_id: str) -> str:
        return self._passages[passage_id].full_text


def by_batch(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[tuple[JudgedQuery, Names]]:
    """Each row with the names of its batch."""
    rest = iter(rows)
    while batch := list(islice(rest, _BATCH)):
        names = Names(project, batch)
        yield from ((row, names) for row in batch)
