"""Pages of the datasets: content, differences, card."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from curation.models import Project, Query, Release, Review
from retrieval.models import Corpus
from tuning.datasets import collect, dataset_card, diff
from tuning.models import Dataset


@pytest.fixture
def pair(
    project: Project, release: Release, settled: list[Query], settle: Callable[..., Query]
) -> tuple[Dataset, Dataset]:
    """Two datasets: between them one query was settled, one reopened, and one answer changed."""
    old = collect.build_dataset(project)
    settle("Who has a mane and roars?", {"lion": 3}, "The lion.")
    Query.objects.filter(pk=settled[0].pk).update(state=Query.State.IN_REVIEW)
    Review.objects.filter(query=settled[1]).update(answer="A tiger.")
    return old, collect.build_dataset(project)


def test_added_removed_and_changed_queries_are_listed(pair: tuple[Dataset, Dataset], settled: list[Query]) -> None:
    difference = diff.compare_datasets(*pair)
    assert [row.text for row in difference.added] == ["Who has a mane and roars?"]
    assert [row.query_id for row in difference.removed] == [str(settled[0].pk)]
    changed = [(query.after.query_id, query.aspects) for query in difference.changed]
    assert changed == [(str(settled[1].pk), ("answer",))]
    assert difference.same == 12
    assert (difference.judgements_added, difference.judgements_removed) == (1, 3)


def test_a_dataset_does_not_differ_from_itself(pair: tuple[Dataset, Dataset]) -> None:
    difference = diff.compare_datasets(pair[0], pair[0])
    assert (difference.added, difference.removed, difference.changed, difference.same) == ([], [], [], 14)


def test_the_command_reports_the_difference(pair: tuple[Dataset, Dataset], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("diff_datasets", 1, 2, project="zoo", json=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (len(result["added"]), len(result["removed"]), result["same"]) == (1, 1, 12)
    assert result["changed"][0]["what"] == ["answer"]


def test_the_pages_show_them(client: Client, erin: User, pair: tuple[Dataset, Dataset]) -> None:
    client.force_login(erin)
    assert "/p/zoo/datasets/2/" in client.get("/p/zoo/datasets/").text
    page = client.get("/p/zoo/datasets/2/").text
    assert pair[1].sha256 in page and "alice" in page
    page = client.get("/p/zoo/datasets/2/changes/?since=1").text
    assert "Queries: 1 added, 1 removed, 1 changed, 12 unchanged. Judgements: 1 added, 3 removed." in page
    assert "Who has a mane and roars?" in page
    assert "Since dataset 1<" in client.get("/p/zoo/datasets/2/changes/").text
    assert "This is the first dataset." in client.get("/p/zoo/datasets/1/changes/").text


def test_the_card_is_a_markdown_file_with_hash_counts_and_annotators(
    client: Client, erin: User, mona: User, pair: tuple[Dataset, Dataset], corpus: Corpus
) -> None:
    client.force_login(mona)
    client.post("/p/zoo/datasets/licence/", {"licence": "CC-BY-4.0"})
    client.force_login(erin)
    response = client.get("/p/zoo/datasets/2/card.md")
    assert response["Content-Disposition"] == 'attachment; filename="zoo-dataset-2.md"'
    card = response.content.decode()
    assert card.startswith('---\npretty_name: "Zoo guide"\nlanguage: en\nlicense: "CC-BY-4.0"\n')
    assert f"| sha256 | `{pair[1].sha256}` |" in card
    counts = pair[1].counts["train"]
    assert f"| train | {counts['queries']} | {counts['grades']} |" in card
    assert "| alice | 28 judgements |" in card
    assert client.post("/p/zoo/datasets/licence/", {"licence": "mine"}).status_code == 403


def test_a_bar_in_a_name_stays_inside_its_cell(pair: tuple[Dataset, Dataset], corpus: Corpus) -> None:
    Corpus.objects.update(name="a | b\nc")
    assert "| corpus | a \\| b c |" in dataset_card.render_card(Dataset.objects.get(pk=pair[1].pk))
