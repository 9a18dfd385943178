"""Fixtures of the curation tests: a tiny language model, and queries in the queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from curation.annotation import assignments
from curation.models import Project, Query
from curation.queries import intake
from retrieval.models import Passage
from retrieval.search.results import Hit
from tests.tiny_models import tiny_generator


@pytest.fixture(scope="session")
def generator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_generator(tmp_path_factory.mktemp("generator"))


@pytest.fixture
def wait(project: Project, passages: dict[str, Passage]) -> Callable[..., Query]:
    """Return a function that adds a query with a frozen ranking of these passages to the queue."""

    def put(text: str = "Who sleeps?", shown: str = "lion otter snail", **fields: object) -> Query:
        number = project.queries.count() + 1
        query = Query.objects.create(project=project, external_id=f"w{number}", text=text, **fields)
        hits = [Hit(passages[name].pk, rank, 1 / rank) for rank, name in enumerate(shown.split(), start=1)]
        intake.freeze_hits([query], None, [hits])
        assignments.create_open(query.project, [query])
        return query

    return put
