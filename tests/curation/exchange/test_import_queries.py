"""Import of queries with their passages and answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError

from common.text_files import BadInput
from curation.exchange.import_queries import import_queries
from curation.models import Draft, Project
from retrieval.models import Passage
from tests.curation.exchange.import_files import run, write_lines


def test_queries_are_imported_with_their_passages_and_the_answer_as_the_draft(
    project: Project, passages: dict[str, Passage], tmp_path: Path
) -> None:
    rows = [
        {"_id": "a", "text": "Who sleeps?", "passages": ["snail", "lion"], "answer": "The snail."},
        {"query_id": "b", "text": "Who swims?"},
    ]
    path = write_lines(tmp_path / "q.jsonl", rows)
    assert run("import_queries", path, "--project", "zoo")["queries"] == 2
    query = project.queries.get(external_id="a")
    shown = query.rankings.get().shown.values_list("passage__external_id", flat=True)
    assert list(shown) == ["snail", "lion"] and Draft.objects.get().text == "The snail."
    assert query.assignments.open().count() == 1
    assert not project.queries.get(external_id="b").assignments.exists()  # waits for the first build
    assert run("import_queries", path, "--project", "zoo")["queries"] == 0


def test_an_unknown_passage_is_named_with_its_line(project: Project, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "q.jsonl", [{"_id": "a", "text": "Who?"}, {"_id": "b", "text": "X", "passages": ["no"]}]
    )
    with pytest.raises(BadInput, match=r"q\.jsonl:2: there is no passage “no”"):
        import_queries(project, path)
    assert not project.queries.exists()


def test_no_project_is_bad_usage(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no project") as caught:
        run("import_queries", tmp_path / "q.jsonl", "--project", "nowhere")
    assert caught.value.returncode == 2
