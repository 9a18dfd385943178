"""Evaluation of a release on external qrels, with the `evaluate` command."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from curation.models import Project, Query, Release
from tuning.models import Dataset, DatasetQuery

pytestmark = pytest.mark.django_db

HEADER = "query-id\tcorpus-id\tscore\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A BEIR folder's questions and qrels: `a` and `b` are found at rank 1, `c` has nothing relevant."""
    (tmp_path / "qrels").mkdir()
    texts = {"a": "bamboo", "b": "stripes", "c": "euros"}
    lines = [json.dumps({"_id": name, "text": text}) for name, text in texts.items()]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "qrels" / "test.tsv").write_text(HEADER + "a\tpanda\t3\nb\tzebra\t2\nb\tlion\t0\nc\tlion\t0\n")
    return tmp_path


def evaluate(folder: Path, **options: Any) -> dict[str, Any]:
    out = io.StringIO()
    call_command("evaluate", project="zoo", qrels=folder / "qrels" / "test.tsv", json=True, stdout=out, **options)
    result: dict[str, Any] = json.loads(out.getvalue().strip().splitlines()[-1])
    return result


def test_it_measures_documents_and_names_the_queries_without_relevant_ones(release: Release, folder: Path) -> None:
    result = evaluate(folder)
    assert (result["release"], result["queries"], result["without_relevant"]) == (1, 3, 1)
    assert result["ndcg@10"] == result["mrr@10"] == result["recall@10"] == 1.0
    assert result["ndcg@10_interval"] == [1.0, 1.0]
    assert result["per_query"].keys() == {"a", "b"}
    assert result["em"] is None and result["f1"] is None


def test_it_changes_nothing(release: Release, folder: Path) -> None:
    evaluate(folder, against="base")
    assert (Query.objects.count(), Release.objects.count(), Dataset.objects.count()) == (0, 1, 0)


def test_the_texts_of_the_projects_queries_need_no_file(release: Release, settled: list[Query], tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(HEADER + "q4\tpanda\t3\n")
    assert evaluate(tmp_path)["queries"] == 1


def test_it_says_how_many_queries_were_trained_on(
    project: Project, release: Release, settled: list[Query], tmp_path: Path
) -> None:
    dataset = Dataset.objects.create(project=project, number=1, path="none", sha256="0")
    for query, split in zip(settled[:2], ("train", "test"), strict=True):
        DatasetQuery.objects.create(dataset=dataset, query=query, review=query.reviews.get(), split=split, cluster="x")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(HEADER + "q1\tlion\t3\nq2\ttiger\t3\n")
    assert evaluate(tmp_path)["trained_on"] == 1


def test_the_difference_from_another_release_comes_with_its_interval(release: Release, folder: Path) -> None:
    figure = evaluate(folder, against="1")["against"]["measures"]["ndcg@10"]
    assert (figure["difference"], figure["low"], figure["high"], figure["p"]) == (0.0, 0.0, 0.0, 1.0)


def test_linear_gain_and_depth(release: Release, folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text(HEADER + "a\tpanda\t1\na\tlion\t3\n")
    # the panda is found first; with the lion, graded higher, far behind, linear gain gives the panda more credit
    assert evaluate(folder, k=1, gain="linear")["ndcg@1"] == pytest.approx(1 / 3)
    assert evaluate(folder, k=1)["ndcg@1"] == pytest.approx(1 / 7)


def test_a_trec_run_is_written(release: Release, folder: Path, tmp_path: Path) -> None:
    evaluate(folder, run_out=tmp_path / "run.txt")
    lines = [line.split() for line in (tmp_path / "run.txt").read_text().splitlines()]
    first = [line for line in lines if line[0] == "a"][0]
    assert (first[1], first[2], first[3], first[5]) == ("Q0", "panda", "1", "zoo-1")
    scores = [float(line[4]) for line in lines if line[0] == "a"]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("qrels", "expected"),
    [
        ("a\tpanda\tx\n", "test.tsv:2"),
        ("a\tunicorn\t3\n", "test.tsv:2: “unicorn” is not in the corpus"),
        ("a\tpanda\t3\nnobody\tlion\t3\n", "test.tsv:3: no query “nobody” is known"),
        ("", "holds no judgement"),
    ],
)
def test_a_wrong_file_ends_with_status_2_and_its_line(
    release: Release, folder: Path, qrels: str, expected: str
) -> None:
    (folder / "qrels" / "test.tsv").write_text(HEADER + qrels)
    with pytest.raises(CommandError) as error:
        evaluate(folder)
    assert error.value.returncode == 2
    assert expected in str(error.value)


def test_answers_that_are_not_a_list_are_bad_input(release: Release, folder: Path) -> None:
    (folder / "answers.jsonl").write_text('{"_id": "a", "answers": "the panda"}\n')
    with pytest.raises(CommandError, match="answers.jsonl:1") as error:
        evaluate(folder, answers=folder / "answers.jsonl")
    assert error.value.returncode == 2


@pytest.mark.parametrize("options", [{"release": "nine"}, {"release": "7"}, {"k": 0}, {"against": "9"}])
def test_bad_usage_ends_with_status_2(release: Release, folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as error:
        evaluate(folder, **options)
    assert error.value.returncode == 2


def test_a_project_without_a_live_release_cannot_be_evaluated(project: Project, folder: Path) -> None:
    with pytest.raises(CommandError) as error:
        evaluate(folder)
    assert error.value.returncode == 1
