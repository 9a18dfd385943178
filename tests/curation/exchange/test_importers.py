"""Collections come in whole or not at all, and a second time changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from common.text_files import BadInput
from curation.annotation import assignments
from curation.exchange import importers
from curation.models import (
    Answer,
    Assignment,
    Draft,
    Judgement,
    Membership,
    Project,
    Query,
    Review,
    SettledGrade,
)
from retrieval.documents import ingest
from retrieval.models import Document, Passage

Wait = Callable[..., Query]
DOCUMENTS = {"d1": "The lion sleeps.", "d2": "The otter swims.", "d3": "The crow remembers."}
QUERIES = {"q1": "Who sleeps?", "q2": "Who swims?", "q3": "Who flies?"}


def _lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _lines(tmp_path / "corpus.jsonl", [{"_id": k, "title": "", "text": v} for k, v in DOCUMENTS.items()])
    _lines(tmp_path / "queries.jsonl", [{"_id": k, "text": v} for k, v in QUERIES.items()])
    _lines(tmp_path / "answers.jsonl", [{"_id": "q1", "answers": ["The lion."]}, {"_id": "q3", "answers": ["-"]}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t3\nq1\td2\t0\nq2\td2\t2\n")
    (tmp_path / "qrels" / "binary.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\n")
    return tmp_path


def run(command: str, *arguments: object) -> dict[str, int]:
    out = StringIO()
    call_command(command, *map(str, arguments), "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue().splitlines()[-1])


def _everything() -> list[int]:
    models = (Project, Document, Passage, Query, Assignment, Judgement, Answer, Review, SettledGrade, User, Membership)
    return [model.objects.count() for model in models]


def test_a_folder_becomes_documents_queries_and_settled_judgements(db: None, folder: Path) -> None:
    done = run("import_beir", folder, "--project", "zoo2", "--judge-split", "train", "--curator", "ana")
    assert done == {"documents": 3, "passages": 3, "queries": 3, "judgements": 3, "answers": 1, "skipped": 0}
    project = Project.objects.get(slug="zoo2")
    assert sorted(project.queries.settled().values_list("external_id", flat=True)) == ["q1", "q2"]
    review = Review.objects.get(query__external_id="q1")
    grades = {one.passage.external_id: (one.grade, one.method) for one in review.grades.select_related("passage")}
    assert grades == {"d1": (3.0, "sole"), "d2": (0.0, "sole")} and review.answer == "The lion."
    assert Judgement.objects.settled().filter(curator__username="ana").count() == 3
    assert project.memberships.get().role == Membership.Role.ANNOTATOR
    assert not User.objects.get(username="ana").has_usable_password()


def test_a_second_import_changes_nothing(db: None, folder: Path) -> None:
    arguments = ("import_beir", folder, "--project", "zoo2", "--judge-split", "train")
    run(*arguments)
    before = _everything()
    done = run(*arguments)
    assert _everything() == before
    assert [done[name] for name in ("documents", "passages", "queries", "judgements", "answers")] == [0] * 5
    assert done["skipped"] == 6  # three queries and three pairs that were there


def test_a_split_chooses_its_queries(db: None, folder: Path) -> None:
    done = run("import_beir", folder, "--project", "zoo2", "--queries-split", "train")
    assert (done["queries"], done["judgements"]) == (2, 0)


def test_the_corpus_alone(db: None, folder: Path) -> None:
    assert run("import_beir", folder, "--project", "zoo2", "--corpus-only")["queries"] == 0
    assert Passage.objects.count() == 3


def test_one_means_answers_it_where_a_collection_knows_only_zero_and_one(db: None, folder: Path) -> None:
    done = importers.import_beir(folder, "zoo2", judge_split="binary")
    assert sorted(SettledGrade.objects.values_list("grade", flat=True)) == [0.0, 3.0]
    assert done.notes == ("The collection grades 0 and 1 only: its 1 was taken as 3, “answers it”.",)


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "The li', 1),
        ("corpus.jsonl", "", None),
        ("queries.jsonl", '{"_id": "q1", "text": "Who?"}\n{"_id": "q1", "text": "Who else?"}', 2),
        ("queries.jsonl", '{"_id": "q1"}', 1),
        ("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq1\td1\tgood", 2),
        ("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t4", 2),
        ("qrels/train.tsv", "q1\td9\t1", 1),
        ("qrels/train.tsv", "q9\td1\t1", 1),
        ("qrels/train.tsv", "q1\td1\t1\nq1\td1\t3", 2),
        ("qrels/train.tsv", "q1\td1", 1),
        ("answers.jsonl", '{"_id": "q1", "answers": "The lion."}', 1),
    ],
)
def test_bad_input_ends_with_status_2_and_leaves_everything_as_it_was(
    db: None, folder: Path, file: str, text: str, line: int | None
) -> None:
    (folder / file).write_text(text)
    before = _everything()
    with pytest.raises(CommandError) as caught:
        run("import_beir", folder, "--project", "zoo2", "--judge-split", "train")
    assert caught.value.returncode == 2
    assert str(caught.value).startswith(f"{folder / file}:{line}:" if line else f"{folder / file}:")
    assert _everything() == before


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv"])
def test_a_missing_file_is_bad_input(db: None, folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(BadInput, match=missing):
        importers.import_beir(folder, "zoo2", judge_split="train")


def test_a_known_query_with_another_text_is_bad_input(db: None, folder: Path) -> None:
    importers.import_beir(folder, "zoo2")
    _lines(folder / "queries.jsonl", [{"_id": "q1", "text": "Who roars?"}])
    with pytest.raises(BadInput, match="another text"):
        importers.import_beir(folder, "zoo2")


def test_judgements_of_a_document_that_was_cut_are_skipped_and_counted(project: Project, tmp_path: Path) -> None:
    ingest.ingest(project.corpus, [ingest.Source("long", "", "Lions sleep. " * 600)])
    Query.objects.create(project=project, external_id="q1", text="Who sleeps?")
    rows = [{"query_id": "q1", "corpus_id": name, "curator": "ana", "grade": 3} for name in ("long", "lion")]
    done = importers.import_judgements(project, _lines(tmp_path / "j.jsonl", rows))
    assert (done.judgements, done.skipped) == (1, 1) and "cut" in done.notes[0]


def test_what_people_have_begun_is_left_alone(project: Project, alice: User, wait: Wait, tmp_path: Path) -> None:
    begun, free = wait(), wait()
    assignments.claim(begun, alice)
    _lines(tmp_path / "corpus.jsonl", [{"_id": "lion", "text": "A lion."}])
    _lines(tmp_path / "queries.jsonl", [{"_id": one.external_id, "text": one.text} for one in (begun, free)])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "a.tsv").write_text("".join(f"{one.external_id}\tlion\t3\n" for one in (begun, free)))
    done = importers.import_beir(tmp_path, "zoo", judge_split="a")
    assert (done.judgements, done.skipped) == (1, 3)
    begun.refresh_from_db()
    assert begun.state == Query.State.OPEN and not free.assignments.open().exists()


def test_queries_come_with_the_passages_they_were_shown(
    project: Project, passages: dict[str, Passage], tmp_path: Path
) -> None:
    rows = [
        {"_id": "a", "text": "Who sleeps?", "passages": ["snail", "lion"], "answer": "The snail."},
        {"query_id": "b", "text": "Who swims?"},
    ]
    path = _lines(tmp_path / "q.jsonl", rows)
    assert run("import_queries", path, "--project", "zoo")["queries"] == 2
    query = project.queries.get(external_id="a")
    shown = query.rankings.get().shown.values_list("passage__external_id", flat=True)
    assert list(shown) == ["snail", "lion"] and Draft.objects.get().text == "The snail."
    assert query.assignments.open().count() == 1
    assert not project.queries.get(external_id="b").assignments.exists()  # waits for the first build
    assert run("import_queries", path, "--project", "zoo")["queries"] == 0


def test_an_unknown_passage_is_named_with_its_line(project: Project, tmp_path: Path) -> None:
    path = _lines(tmp_path / "q.jsonl", [{"_id": "a", "text": "Who?"}, {"_id": "b", "text": "X", "passages": ["no"]}])
    with pytest.raises(BadInput, match=r"q\.jsonl:2: there is no passage “no”"):
        importers.import_queries(project, path)
    assert not project.queries.exists()


def test_judgements_of_several_curators_are_settled_by_the_projects_rules(
    project: Project, passages: dict[str, Passage], tmp_path: Path
) -> None:
    Project.objects.update(overlap=2)
    project.refresh_from_db()
    for name in ("agree", "differ", "one", "three"):
        Query.objects.create(project=project, external_id=name, text=name)
    given = {"agree": [3, 2], "differ": [3, 0], "one": [1], "three": [0, 0, 0]}
    rows = [
        {"query_id": name, "corpus_id": "lion", "curator": f"c{number}", "grade": grade, "comment": "so"}
        for name, grades in given.items()
        for number, grade in enumerate(grades)
    ]
    path = _lines(tmp_path / "j.jsonl", rows)
    assert run("import_judgements", path, "--project", "zoo")["judgements"] == 8
    states = dict(project.queries.values_list("external_id", "state"))
    assert states == {"agree": "settled", "differ": "in_review", "one": "open", "three": "settled"}
    settled = SettledGrade.objects.filter(review__query__external_id="agree").get()
    assert (settled.grade, settled.method) == (2.5, "median")
    assert project.queries.get(external_id="three").overlap == 3
    before = _everything()
    assert run("import_judgements", path, "--project", "zoo") == {
        "documents": 0, "passages": 0, "queries": 0, "judgements": 0, "answers": 0, "skipped": 8,
    }  # fmt: skip
    assert _everything() == before


def test_an_imported_judge_takes_the_place_of_an_open_slot(project: Project, wait: Wait, tmp_path: Path) -> None:
    query = wait(overlap=2)
    rows = [{"query_id": query.external_id, "corpus_id": "lion", "curator": "ana", "grade": 3}]
    importers.import_judgements(project, _lines(tmp_path / "j.jsonl", rows))
    assert list(query.assignments.order_by("slot").values_list("slot", "state")) == [(1, "submitted"), (2, "open")]


def test_no_project_is_bad_usage(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no project") as caught:
        run("import_queries", tmp_path / "q.jsonl", "--project", "nowhere")
    assert caught.value.returncode == 2
