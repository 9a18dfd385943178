"""Import of judgements of several curators: the project's overlap and consensus settle them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from curation.exchange.import_judgements import import_judgements
from curation.models import Project, Query, SettledGrade
from retrieval.documents import ingest
from retrieval.models import Passage
from tests.curation.exchange.import_files import count_rows, run, write_lines

Wait = Callable[..., Query]


def test_judgements_of_a_chunked_document_are_skipped_and_counted(project: Project, tmp_path: Path) -> None:
    ingest.ingest(project.corpus, [ingest.SourceDocument("long", "", "Lions sleep. " * 600)])
    Query.objects.create(project=project, external_id="q1", text="Who sleeps?")
    rows = [{"query_id": "q1", "corpus_id": name, "curator": "ana", "grade": 3} for name in ("long", "lion")]
    done = import_judgements(project, write_lines(tmp_path / "j.jsonl", rows))
    assert (done.judgements, done.skipped) == (1, 1) and "chunked" in done.notes[0]


def test_judgements_of_several_curators_are_settled_by_the_projects_rules(
    project: Project, passages: dict[str, Passage], tmp_path: Path
) -> None:
    Project.objects.update(overlap=2)
    project.refresh_from_db()
    for name in ("agree", "differ", "one", "three"):
        Query.objects.create(project=project, external_id=name, text=name)
    grades_by_query = {"agree": [3, 2], "differ": [3, 0], "one": [1], "three": [0, 0, 0]}
    rows = [
        {"query_id": name, "corpus_id": "lion", "curator": f"c{number}", "grade": grade, "comment": "so"}
        for name, grades in grades_by_query.items()
        for number, grade in enumerate(grades)
    ]
    path = write_lines(tmp_path / "j.jsonl", rows)
    assert run("import_judgements", path, "--project", "zoo")["judgements"] == 8
    states = dict(project.queries.values_list("external_id", "state"))
    assert states == {"agree": "settled", "differ": "in_review", "one": "open", "three": "settled"}
    settled = SettledGrade.objects.filter(review__query__external_id="agree").get()
    assert (settled.grade, settled.method) == (2.5, "median")
    assert project.queries.get(external_id="three").overlap == 3
    before = count_rows()
    assert run("import_judgements", path, "--project", "zoo") == {
        "documents": 0, "passages": 0, "queries": 0, "judgements": 0, "answers": 0, "skipped": 8,
    }  # fmt: skip
    assert count_rows() == before


def test_an_imported_assignment_takes_an_open_slot(project: Project, wait: Wait, tmp_path: Path) -> None:
    query = wait(overlap=2)
    rows = [{"query_id": query.external_id, "corpus_id": "lion", "curator": "ana", "grade": 3}]
    import_judgements(project, write_lines(tmp_path / "j.jsonl", rows))
    assert list(query.assignments.order_by("slot").values_list("slot", "state")) == [(1, "submitted"), (2, "open")]
