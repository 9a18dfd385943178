"""Export of settled work in the file formats of other tools."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from curation.models import Answer, Draft, Project, Query, Ranking, Release, SettledGrade, ShownPassage
from retrieval.models import Passage
from tests.conftest import ZOO
from tuning.datasets import collect
from tuning.exports import export

pytestmark = pytest.mark.django_db


def rows(project: Project, what: str, form: str, target: Path) -> list[dict[str, Any]]:
    export.export(project, what, form, target)
    return [json.loads(line) for line in target.read_text().splitlines()]


def text(name: str) -> str:
    return f"{name.title()}\n{ZOO[name]}"


def test_triplets_have_judged_negatives_alone(project: Project, settled: list[Query], tmp_path: Path) -> None:
    triplets = rows(project, "retriever", "sentence-transformers", tmp_path / "out.jsonl")
    # lion 3 and tiger 2 are positives of the first question, snail 0 its only negative
    assert triplets[0] == {"anchor": settled[0].text, "positive": text("lion"), "negative_1": text("snail")}
    assert triplets[1]["positive"] == text("tiger")
    eagle = next(row for row in triplets if row["anchor"] == "Which bird sees a hare?")
    assert eagle == {"anchor": "Which bird sees a hare?", "positive": text("eagle")}  # crow is 1: neither
    assert not any(row["anchor"] == "Who feeds the dragons?" for row in triplets)


def test_listwise_rows_hold_every_grade(project: Project, settled: list[Query], tmp_path: Path) -> None:
    (first, *_rest) = rows(project, "reranker", "sentence-transformers", tmp_path / "out.jsonl")
    assert first["labels"] == [3.0, 2.0, 0.0]
    assert first["docs"] == [text("lion"), text("tiger"), text("snail")]


def test_flagembedding_and_msmarco(project: Project, settled: list[Query], tmp_path: Path) -> None:
    (first, *_rest) = rows(project, "retriever", "flagembedding", tmp_path / "flag.jsonl")
    assert first == {
        "query": settled[0].text,
        "pos": [text("lion"), text("tiger")],
        "neg": [text("snail")],
        "prompt": "",
    }
    export.export(project, "retriever", "msmarco", tmp_path / "triples.tsv")
    assert (tmp_path / "triples.tsv").read_text().splitlines()[0] == "q1\tlion\tsnail"


def test_qrels_in_both_formats(project: Project, settled: list[Query], tmp_path: Path) -> None:
    export.export(project, "qrels", "beir", tmp_path / "beir.tsv")
    lines = (tmp_path / "beir.tsv").read_text().splitlines()
    assert lines[0] == "query-id\tcorpus-id\tscore"
    assert {"q1\tlion\t3", "q1\ttiger\t2", "q1\tsnail\t0"} <= set(lines)
    export.export(project, "qrels", "trec", tmp_path / "trec.txt")
    assert "q1 0 lion 3" in (tmp_path / "trec.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("consensus", "qrel", "is_positive", "is_negative"),
    [
        (0.0, 0, False, True),
        (0.5, 1, False, False),  # related: beside the lion, grade 3, neither positive nor negative
        (1.0, 1, False, False),
        (1.5, 2, True, False),
        (2.5, 3, True, False),
        (3.0, 3, True, False),
    ],
)
def test_a_consensus_between_two_grades_means_the_same_in_every_export(
    project: Project,
    settled: list[Query],
    tmp_path: Path,
    consensus: float,
    qrel: int,
    is_positive: bool,
    is_negative: bool,
) -> None:
    SettledGrade.objects.filter(review__query=settled[0], passage__external_id="tiger").update(grade=consensus)
    flag = rows(project, "retriever", "flagembedding", tmp_path / "flag.jsonl")[0]
    assert (text("tiger") in flag["pos"], text("tiger") in flag["neg"]) == (is_positive, is_negative)
    triplets = rows(project, "retriever", "sentence-transformers", tmp_path / "triplets.jsonl")
    own = [row for row in triplets if row["anchor"] == settled[0].text]
    assert any(row["positive"] == text("tiger") for row in own) is is_positive
    assert any(text("tiger") in row.values() for row in own if row["positive"] != text("tiger")) is is_negative
    export.export(project, "qrels", "beir", tmp_path / "qrels.tsv")
    assert f"q1\ttiger\t{qrel}" in (tmp_path / "qrels.tsv").read_text().splitlines()
    listwise = rows(project, "reranker", "sentence-transformers", tmp_path / "listwise.jsonl")[0]
    assert consensus in listwise["labels"]  # the consensus itself


def test_judgements_come_with_their_curator(
    project: Project, settled: list[Query], alice: User, tmp_path: Path
) -> None:
    judgements = rows(project, "judgements", "jsonl", tmp_path / "out.jsonl")
    assert {"query_id": "q1", "corpus_id": "lion", "curator": "alice", "grade": 3, "comment": ""} in judgements
    export.export(project, "judgements", "csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(judgements)


def test_a_beir_folder_can_be_imported_again(
    project: Project, release: Release, settled: list[Query], tmp_path: Path
) -> None:
    dataset = collect.build_dataset(project)
    export.export(project, "beir", "beir", tmp_path / "zoo", collect.read_rows(dataset))
    assert {path.name for path in (tmp_path / "zoo" / "qrels").iterdir()} == {"train.tsv", "dev.tsv", "test.tsv"}
    call_command("import_beir", str(tmp_path / "zoo"), project="again", judge_split="train", curator="carol")
    again = Project.objects.get(slug="again")
    assert again.queries.settled().count() == dataset.counts["train"]["queries"]


@pytest.mark.slow
def test_preference_pairs_have_the_prompt_of_the_live_release(
    project: Project, release: Release, settled: list[Query], passages: dict[str, Passage], tmp_path: Path
) -> None:
    ranking = Ranking.objects.create(query=settled[3], release=release)
    for rank, name in enumerate(["panda", "lion"], start=1):
        ShownPassage.objects.create(ranking=ranking, passage=passages[name], rank=rank)
    draft = Draft.objects.create(ranking=ranking, text="It is the lion who eats it.")
    Answer.objects.filter(query=settled[3]).update(draft=draft)
    (pair,) = rows(project, "lm-dpo", "trl", tmp_path / "out.jsonl")
    assert (pair["chosen"], pair["rejected"]) == ("The panda.", "It is the lion who eats it.")
    assert text("panda") in pair["prompt"] and settled[3].text in pair["prompt"]
    (pair,) = rows(project, "lm-dpo", "openai", tmp_path / "openai.jsonl")
    assert pair["preferred_output"] == [{"role": "assistant", "content": "The panda."}]
    Draft.objects.update(text="The panda.")  # accepted unchanged: no pair
    with pytest.raises(export.NothingToExport):
        export.export(project, "lm-dpo", "trl", tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["openai", "trl", "alpaca", "sharegpt"])
def test_instances_for_a_language_model(
    project: Project, release: Release, settled: list[Query], tmp_path: Path, form: str
) -> None:
    instances = rows(project, "lm-sft", form, tmp_path / "out.jsonl")
    assert len(instances) >= len(settled) - 1
    assert any("The text does not say." in json.dumps(row) for row in instances)  # the dragons


@pytest.mark.parametrize(
    ("what", "form"), [("retriever", "sentence-transformers"), ("qrels", "trec"), ("judgements", "csv")]
)
def test_the_same_rows_give_the_same_bytes(
    project: Project, settled: list[Query], tmp_path: Path, what: str, form: str
) -> None:
    for name in ("one", "two"):
        export.export(project, what, form, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_unknown_format_is_bad_usage(project: Project, settled: list[Query], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="formats of lm-dpo: openai, trl, kto") as error:
        call_command("export", project="zoo", what="lm-dpo", format="parquet", out=tmp_path / "out")
    assert error.value.returncode == 2


def test_an_export_without_settled_work_fails(project: Project, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as error:
        call_command("export", project="zoo", what="qrels", out=tmp_path / "out")
    assert error.value.returncode == 1
    assert not (tmp_path / "out").exists()
