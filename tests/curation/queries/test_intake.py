"""A query arrives: what was shown is frozen, and the slots are open."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from curation import tasks
from curation.models import Assignment, Draft, Generator, Project, Query, Ranking, Release
from curation.queries import intake
from curation.releases import lifecycle

Source = Query.Source


def test_a_query_freezes_its_ranking_and_opens_its_slots(project: Project, release: Release, alice: User) -> None:
    Project.objects.update(overlap=2, pool_depth=4)
    project.refresh_from_db()
    query = intake.ask(project, " Which lion sleeps? ", source=Source.PAGE, user=alice)
    ranking = query.rankings.get()
    assert (query.text, ranking.release, ranking.build) == ("Which lion sleeps?", release, release.build)
    shown = list(ranking.shown.select_related("passage"))
    assert len(shown) == 4 and shown[0].passage.external_id == "lion"
    assert [row.rank for row in shown] == [1, 2, 3, 4]
    slots = query.assignments.open()
    assert sorted(slots.values_list("slot", flat=True)) == [1, 2]
    assert len(set(slots.values_list("random_key", flat=True))) == 1 and slots[0].ranking == ranking


def test_an_id_that_was_asked_is_not_asked_again(project: Project, release: Release) -> None:
    first = intake.ask(project, "Who sings?", source=Source.API, external_id="a1")
    assert intake.ask(project, "Who sings?", source=Source.API, external_id="a1") == first
    assert Ranking.objects.count() == 1


def test_nothing_is_asked_without_words_or_a_release(project: Project) -> None:
    with pytest.raises(lifecycle.NothingServes):
        intake.ask(project, "Who sings?", source=Source.PAGE)
    with pytest.raises(intake.NothingAsked):
        intake.ask(project, " ", source=Source.PAGE)
    assert not Query.objects.exists()


def test_queries_from_before_the_first_build_are_taken_up(project: Project, release: Release) -> None:
    for number in range(3):
        Query.objects.create(project=project, external_id=f"q{number}", text="Who sleeps?")
    assert intake.take_up(project, limit=2) == 2
    assert intake.take_up(project) == 1 and intake.take_up(project) == 0
    assert Assignment.objects.open().count() == Ranking.objects.count() == 3


def test_opening_slots_twice_opens_them_once(project: Project, release: Release) -> None:
    query = intake.ask(project, "Who sings?", source=Source.PAGE)
    assert intake.open_slots(query) == []


def test_about_a_tenth_is_the_evaluation_sample_and_always_the_same(project: Project) -> None:
    queries = [Query(project=project, external_id=f"q{number}") for number in range(1000)]
    sampled = [intake._is_sampled(project, query) for query in queries]
    assert 70 < sum(sampled) < 130
    assert sampled == [intake._is_sampled(project, query) for query in queries]


@pytest.mark.slow
@pytest.mark.parametrize("answer_mode", Release.AnswerMode.values)
def test_a_draft_is_written_once(project: Project, release: Release, generator_folder: Path, answer_mode: str) -> None:
    row = Generator.objects.create(name="tiny", base_path=str(generator_folder), sha256="tiny")
    lifecycle.switch(lifecycle.next_release(project, generator=row, answer_mode=answer_mode))
    query = intake.ask(project, "Which lion sleeps?", source=Source.PAGE)
    waiting = intake.undrafted(project, 5)
    assert waiting == [query.rankings.get().pk]
    for _time in range(2):
        tasks.draft(waiting[0])
    written = Draft.objects.get()
    assert (written.generator, written.ranking_id) == (row, waiting[0])
    assert intake.undrafted(project, 5) == []
