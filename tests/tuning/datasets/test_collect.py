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
    dataset = collect.collect(project)
    rows = {row.query_id: row for row in collect.rows(dataset)}
    assert rows.keys() == {str(query.pk) for query in settled}
    for link in DatasetQuery.objects.filter(dataset=dataset):
        row = rows[str(link.query_id)]
        assert (link.split, link.cluster) == (row.split, row.cluster)
        behind = {str(one.passage_id): float(one.grade or 0) for one in link.judgements.all()}
        assert behind == row.grades
    assert sum(found["queries"] for found in dataset.counts.values()) == len(settled)
    texts = {one.passage_id: one.text for one in read_passages(collect.folder(dataset) / collect.PASSAGES)}
    assert texts.keys() == {passage for row in rows.values() for passage in row.grades}


def test_the_same_work_and_seed_give_the_same_dataset(project: Project, release: Release, settled: list[Query]) -> None:
    assert collect.collect(project, 1) == collect.collect(project, 1)
    assert collect.collect(project, 2).sha256 != collect.collect(project, 1).sha256
    assert Dataset.objects.count() == 2
    beside = collect.folder(collect.collect(project, 1)).parent
    before = set(beside.iterdir())
    assert collect.folder(collect.collect(project, 2)) in before
    assert set(beside.iterdir()) == before


def test_new_work_makes_a_new_dataset_and_keeps_the_splits(
    project: Project, release: Release, settled: list[Query], settle: Callable[..., Query]
) -> None:
    before = {row.query_id: row.split for row in collect.rows(collect.collect(project))}
    settle("Who has a mane and roars?", {"lion": 3})
    after = {row.query_id: row.split for row in collect.rows(collect.collect(project))}
    test = {query_id for query_id, split in before.items() if split == TEST}
    assert {after[query_id] for query_id in test} == {TEST}
    assert len(after) == len(before) + 1


def test_paraphrases_share_a_split(project: Project, release: Release, settle: Callable[..., Query]) -> None:
    for n in range(12):
        settle(f"Question {n} about {['lion', 'zebra', 'panda', 'otter'][n % 4]}?", {"lion": 1})
    clusters = {row.cluster: row.split for row in collect.rows(collect.collect(project))}
    # the keyword encoder sees one word of each question: four clusters
    assert len(clusters) == 4


def test_the_evaluation_sample_is_never_trained_on(project: Project, release: Release, settled: list[Query]) -> None:
    Query.objects.filter(pk=settled[3].pk).update(is_evaluation=True)
    rows = {row.query_id: row for row in collect.rows(collect.collect(project))}
    assert rows[str(settled[3].pk)].split == TEST
    assert any(row.split == TRAIN for row in rows.values())


def test_grades_of_retired_passages_are_left_out(
    project: Project, release: Release, settled: list[Query], passages: dict[str, Passage]
) -> None:
    lion = passages["lion"]
    Passage.objects.filter(pk=lion.pk).update(retired_at=timezone.now())
    assert not any(str(lion.pk) in row.grades for row in collect.rows(collect.collect(project)))


def _retire(passages: dict[str, Passage], *names: str) -> None:
    Passage.objects.filter(pk__in=[passages[name].pk for name in names]).update(retired_at=timezone.now())


def test_an_answer_goes_with_the_passages_it_rested_on(
    project: Project, release: Release, settled: list[Query], passages: dict[str, Passage]
) -> None:
    _retire(passages, "panda", "eagle", "crow")  # all of the second, the relevant ones of the others
    rows = {row.text: row for row in collect.rows(collect.collect(project))}
    bamboo, tools, remembers = (
        rows["Who eats bamboo?"],
        rows.get("Which bird uses tools?"),
        rows["Who remembers faces?"],
    )
    assert tools is None  # the crow that answers and the eagle that does not: both texts have changed
    assert (bamboo.answer, bamboo.grades) == ("", {str(passages["lion"].pk): 0.0})  # still a negative
    assert (remembers.answer, list(remembers.grades)) == ("", [str(passages["whale"].pk)])
    assert rows["Who swims well?"].answer  # its relevant passages stand; the eagle was none


def test_that_there_is_no_answer_lapses_with_the_last_text_it_was_said_of(
    project: Project, release: Release, settled: list[Query], passages: dict[str, Passage]
) -> None:
    _retire(passages, "lion")
    rows = {row.text: row for row in collect.rows(collect.collect(project))}
    assert rows["Who feeds the dragons?"].is_unanswerable  # the ticket is still there
    _retire(passages, "ticket")
    assert "Who feeds the dragons?" not in {row.text for row in collect.rows(collect.collect(project))}


def test_an_answer_that_was_settled_without_a_grade_stands(
    project: Project, release: Release, settled: list[Query], settle: Callable[..., Query]
) -> None:
    settle("Who said so?", {}, "A visitor.")
    rows = {row.text: row for row in collect.rows(collect.collect(project))}
    assert rows["Who said so?"].answer == "A visitor."


def test_too_little_work_is_refused(project: Project, release: Release, settle: Callable[..., Query]) -> None:
    for n in range(7):
        settle(f"Question {n}", {"lion": 1})
    with pytest.raises(collect.TooLittle, match="7 settled queries"):
        collect.collect(project)
    assert not Dataset.objects.exists()


def test_unsettled_work_is_not_collected(project: Project, release: Release, settled: list[Query]) -> None:
    Query.objects.filter(pk=settled[0].pk).update(state=Query.State.IN_REVIEW)
    rows = collect.rows(collect.collect(project))
    assert str(settled[0].pk) not in {row.query_id for row in rows}


def test_a_damaged_dataset_is_not_read(project: Project, release: Release, settled: list[Query]) -> None:
    dataset = collect.collect(project)
    path = collect.folder(dataset) / collect.ROWS
    path.write_text(path.read_text().replace('"grades"', '"Grades"', 1))
    with pytest.raises(artifacts.Damaged):
        collect.rows(dataset)


def test_a_folder_without_a_row_is_replaced(project: Project, release: Release, settled: list[Query]) -> None:
    dataset = collect.collect(project)
    sha256 = dataset.sha256
    dataset.delete()
    again = collect.collect(project)
    assert (again.sha256, again.number) == (sha256, 1)


def test_collecting_asks_the_same_number_of_questions_whatever_the_size(
    project: Project,
    release: Release,
    settled: list[Query],
    settle: Callable[..., Query],
    django_assert_max_num_queries: Callable[..., object],
) -> None:
    for n in range(30):
        settle(f"More of {n}", {"lion": 1, "tiger": 0}, "An answer.")
    with django_assert_max_num_queries(30):  # type: ignore[attr-defined]
        collect.collect(project)
