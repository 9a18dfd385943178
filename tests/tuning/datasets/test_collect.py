"""Settled work becomes a frozen dataset."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from common import artifacts
from curation.models import Project, Query, Release
from retrieval.models import Passage
from tuning.datasets import collect
from tuning.engine.data.examples import TEST, TRAIN, read_passages
from tuning.models import Dataset, DatasetQuery


def test_a_dataset_holds_every_settled_query_with_its_lineage(
    project: Project, release: Release, settled: list[Query]
) -> None:
    dataset = collect.build_dataset(project)
    rows = {row.query_id: row for row in collect.read_rows(dataset)}
    assert rows.keys() == {str(query.pk) for query in settled}
    for link in DatasetQuery.objects.filter(dataset=dataset):
        row = rows[str(link.query_id)]
        assert (link.split, link.cluster) == (row.split, row.cluster)
        judged = {str(judgement.passage_id): float(judgement.grade or 0) for judgement in link.judgements.all()}
        assert judged == row.grades
    assert sum(counts["queries"] for counts in dataset.counts.values()) == len(settled)
    passages = read_passages(collect.dataset_folder(dataset) / collect.PASSAGES)
    assert {passage.passage_id for passage in passages} == {name for row in rows.values() for name in row.grades}


def test_the_same_work_and_seed_give_the_same_dataset(project: Project, release: Release, settled: list[Query]) -> None:
    assert collect.build_dataset(project, 1) == collect.build_dataset(project, 1)
    assert collect.build_dataset(project, 2).sha256 != collect.build_dataset(project, 1).sha256
    assert Dataset.objects.count() == 2
    folder = collect.dataset_folder(collect.build_dataset(project, 1)).parent
    before = set(folder.iterdir())
    assert collect.dataset_folder(collect.build_dataset(project, 2)) in before
    assert set(folder.iterdir()) == before


def test_new_work_makes_a_new_dataset_and_keeps_the_splits(
    project: Project, release: Release, settled: list[Query], settle: Callable[..., Query]
) -> None:
    before = {row.query_id: row.split for row in collect.read_rows(collect.build_dataset(project))}
    settle("Who has a mane and roars?", {"lion": 3})
    after = {row.query_id: row.split for row in collect.read_rows(collect.build_dataset(project))}
    test = {query_id for query_id, split in before.items() if split == TEST}
    assert {after[query_id] for query_id in test} == {TEST}
    assert len(after) == len(before) + 1


def test_paraphrases_share_a_split(project: Project, release: Release, settle: Callable[..., Query]) -> None:
    for n in range(12):
        settle(f"Question {n} about {['lion', 'zebra', 'panda', 'otter'][n % 4]}?", {"lion": 1})
    clusters = {row.cluster: row.split for row in collect.read_rows(collect.build_dataset(project))}
    # the keyword encoder sees one word of each question: four clusters
    assert len(clusters) == 4


def test_the_evaluation_sample_is_never_trained_on(project: Project, release: Release, settled: list[Query]) -> None:
    Query.objects.filter(pk=settled[3].pk).update(is_evaluation=True)
    rows = {row.query_id: row for row in collect.read_rows(collect.build_dataset(project))}
    assert rows[str(settled[3].pk)].split == TEST
    assert any(row.split == TRAIN for row in rows.values())


def test_grades_of_retired_passages_are_left_out(
    project: Project, release: Release, settled: list[Query], passages: dict[str, Passage]
) -> None:
    lion = passages["lion"]
    Passage.objects.filter(pk=lion.pk).update(retired_at=timezone.now())
    assert not any(str(lion.pk) in row.grades for row in collect.read_rows(collect.build_dataset(project)))


def _retire(passages: dict[str, Passage], *names: str) -> None:
    Passage.objects.filter(pk__in=[passages[name].pk for name in names]).update(retired_at=timezone.now())


def test_an_answer_is_stale_when_its_relevant_passages_are_retired(
    project: Project, release: Release, settled: list[Query], passages: dict[str, Passage]
) -> None:
    _retire(passages, "panda", "eagle", "crow")  # all of the second, the relevant ones of the others
    rows = {row.text: row for row in collect.read_rows(collect.build_dataset(project))}
    bamboo, tools, remembers = (
        rows["Who eats bamboo?"],
        rows.get("Which bird uses tools?"),
        rows["Who remembers faces?"],
    )
    assert tools is None  # the crow that answers and the eagle that does not: both texts have changed
    assert (bamboo.answer, bamboo.grades) == ("", {str(passages["lion"].pk): 0.0})  # still a negative
    assert (remembers.answer, list(remembers.grades)) == ("", [str(passages["whale"].pk)])
    assert rows["Who swims well?"].answer  # its relevant passages stand; the eagle was none


def test_no_answer_in_corpus_is_stale_when_all_its_passages_are_retired(
    project: Project, release: Release, settled: list[Query], passages: dict[str, Passage]
) -> None:
    _retire(passages, "lion")
    rows = {row.text: row for row in collect.read_rows(collect.build_dataset(project))}
    assert rows["Who feeds the dragons?"].is_unanswerable  # the passage about the ticket is active
    _retire(passages, "ticket")
    assert "Who feeds the dragons?" not in {row.text for row in collect.read_rows(collect.build_dataset(project))}


def test_an_answer_that_was_settled_without_a_grade_is_never_stale(
    project: Project, release: Release, settled: list[Query], settle: Callable[..., Query]
) -> None:
    settle("Who said so?", {}, "A visitor.")
    rows = {row.text: row for row in collect.read_rows(collect.build_dataset(project))}
    assert rows["Who said so?"].answer == "A visitor."


def test_fewer_than_eight_queries_make_no_dataset(
    project: Project, release: Release, settle: Callable[..., Query]
) -> None:
    for n in range(7):
        settle(f"Question {n}", {"lion": 1})
    with pytest.raises(collect.NotEnoughData, match="7 resolved queries"):
        collect.build_dataset(project)
    assert not Dataset.objects.exists()


def test_unsettled_work_is_left_out(project: Project, release: Release, settled: list[Query]) -> None:
    Query.objects.filter(pk=settled[0].pk).update(state=Query.State.IN_REVIEW)
    rows = collect.read_rows(collect.build_dataset(project))
    assert str(settled[0].pk) not in {row.query_id for row in rows}


def test_a_damaged_dataset_is_not_read(project: Project, release: Release, settled: list[Query]) -> None:
    dataset = collect.build_dataset(project)
    path = collect.dataset_folder(dataset) / collect.ROWS
    path.write_text(path.read_text().replace('"grades"', '"Grades"', 1))
    with pytest.raises(artifacts.Damaged):
        collect.read_rows(dataset)


def test_a_folder_without_a_row_is_replaced(project: Project, release: Release, settled: list[Query]) -> None:
    dataset = collect.build_dataset(project)
    sha256 = dataset.sha256
    dataset.delete()
    again = collect.build_dataset(project)
    assert (again.sha256, again.number) == (sha256, 1)


def test_the_number_of_statements_does_not_depend_on_the_size(
    project: Project,
    release: Release,
    settled: list[Query],
    settle: Callable[..., Query],
    django_assert_max_num_queries: Callable[..., object],
) -> None:
    for n in range(30):
        settle(f"More of {n}", {"lion": 1, "tiger": 0}, "An answer.")
    with django_assert_max_num_queries(30):  # type: ignore[attr-defined]
        collect.build_dataset(project)
