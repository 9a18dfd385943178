"""Import of BEIR folders: all of a folder or nothing, and a second import changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError

from common.text_files import BadInput
from curation.annotation import claims
from curation.exchange.import_beir import import_beir
from curation.models import Judgement, Membership, Project, Query, Review, SettledGrade
from retrieval.models import Passage
from tests.curation.exchange.import_files import count_rows, run, write_lines

Wait = Callable[..., Query]
DOCUMENTS = {"d1": "The lion sleeps.", "d2": "The otter swims.", "d3": "The crow remembers."}
QUERIES = {"q1": "Who sleeps?", "q2": "Who swims?", "q3": "Who flies?"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lines(tmp_path / "corpus.jsonl", [{"_id": k, "title": "", "text": v} for k, v in DOCUMENTS.items()])
    write_lines(tmp_path / "queries.jsonl", [{"_id": k, "text": v} for k, v in QUERIES.items()])
    write_lines(tmp_path / "answers.jsonl", [{"_id": "q1", "answers": ["The lion."]}, {"_id": "q3", "answers": ["-"]}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t3\nq1\td2\t0\nq2\td2\t2\n")
    (tmp_path / "qrels" / "binary.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\n")
    return tmp_path


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
    before = count_rows()
    done = run(*arguments)
    assert count_rows() == before
    assert [done[name] for name in ("documents", "passages", "queries", "judgements", "answers")] == [0] * 5
    assert done["skipped"] == 6  # three queries and three judgements that exist


def test_a_split_selects_its_queries(db: None, folder: Path) -> None:
    done = run("import_beir", folder, "--project", "zoo2", "--queries-split", "train")
    assert (done["queries"], done["judgements"]) == (2, 0)


def test_only_the_corpus_is_imported_on_request(db: None, folder: Path) -> None:
    assert run("import_beir", folder, "--project", "zoo2", "--corpus-only")["queries"] == 0
    assert Passage.objects.count() == 3


def test_one_becomes_three_where_a_collection_has_the_grades_zero_and_one_only(db: None, folder: Path) -> None:
    done = import_beir(folder, "zoo2", judge_split="binary")
    assert sorted(SettledGrade.objects.values_list("grade", flat=True)) == [0.0, 3.0]
    assert done.notes == ("The collection has the grades 0 and 1 only: its 1 was imported as 3, “Answers”.",)


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
    before = count_rows()
    with pytest.raises(CommandError) as caught:
        run("import_beir", folder, "--project", "zoo2", "--judge-split", "train")
    assert caught.value.returncode == 2
    assert str(caught.value).startswith(f"{folder / file}:{line}:" if line else f"{folder / file}:")
    assert count_rows() == before


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels/train.tsv"])
def test_a_missing_file_is_bad_input(db: None, folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(BadInput, match=missing):
        import_beir(folder, "zoo2", judge_split="train")


def test_a_known_query_with_another_text_is_bad_input(db: None, folder: Path) -> None:
    import_beir(folder, "zoo2")
    write_lines(folder / "queries.jsonl", [{"_id": "q1", "text": "Who roars?"}])
    with pytest.raises(BadInput, match="another text"):
        import_beir(folder, "zoo2")


def test_queries_that_people_have_started_are_skipped(
    project: Project, alice: User, wait: Wait, tmp_path: Path
) -> None:
    started, free = wait(), wait()
    claims.claim(started, alice)
    write_lines(tmp_path / "corpus.jsonl", [{"_id": "lion", "text": "A lion."}])
    write_lines(tmp_path / "queries.jsonl", [{"_id": one.external_id, "text": one.text} for one in (started, free)])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "a.tsv").write_text("".join(f"{one.external_id}\tlion\t3\n" for one in (started, free)))
    done = import_beir(tmp_path, "zoo", judge_split="a")
    assert (done.judgements, done.skipped) == (1, 3)
    started.refresh_from_db()
    assert started.state == Query.State.OPEN and not free.assignments.open().exists()
