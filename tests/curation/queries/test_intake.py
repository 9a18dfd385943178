"""Intake: a query arrives, its ranking is frozen, its assignments are created, its draft is enqueued."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from curation import tasks
from curation.annotation import assignments
from curation.models import Assignment, Draft, Generator, Project, Query, Ranking, Release
from curation.queries import drafts, evaluation_sample, intake
from curation.releases import lifecycle

Source = Query.Source


def test_a_query_gets_a_frozen_ranking_and_open_assignments(project: Project, release: Release, alice: User) -> None:
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


def test_a_known_external_id_returns_the_same_query(project: Project, release: Release) -> None:
    first = intake.ask(project, "Who sings?", source=Source.API, external_id="a1")
    assert intake.ask(project, "Who sings?", source=Source.API, external_id="a1") == first
    assert Ranking.objects.count() == 1


def test_a_query_needs_text_and_a_live_release(project: Project) -> None:
    with pytest.raises(lifecycle.NoLiveRelease):
        intake.ask(project, "Who sings?", source=Source.PAGE)
    with pytest.raises(intake.EmptyQuery):
        intake.ask(project, " ", source=Source.PAGE)
    assert not Query.objects.exists()


def test_queries_from_before_the_first_release_are_frozen_later(project: Project, release: Release) -> None:
    for number in range(3):
        Query.objects.create(project=project, external_id=f"q{number}", text="Who sleeps?")
    assert intake.freeze_waiting(project, limit=2) == 2
    assert intake.freeze_waiting(project) == 1 and intake.freeze_waiting(project) == 0
    assert Assignment.objects.open().count() == Ranking.objects.count() == 3


def test_creating_assignments_twice_creates_them_once(project: Project, release: Release) -> None:
    query = intake.ask(project, "Who sings?", source=Source.PAGE)
    assert assignments.create_open(query.project, [query]) == []


def test_the_evaluation_sample_is_about_a_tenth_and_always_the_same(project: Project) -> None:
    queries = [Query(project=project, external_id=f"q{number}") for number in range(1000)]
    sampled = [evaluation_sample.is_in_sample(project, query) for query in queries]
    assert 70 < sum(sampled) < 130
    assert sampled == [evaluation_sample.is_in_sample(project, query) for query in queries]


def test_asking_enqueues_the_draft_after_the_commit(
    project: Project,
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(tasks.draft, "apply_async", lambda args, **options: sent.extend(args))
    with django_capture_on_commit_callbacks(execute=True):
        query = intake.ask(project, "Who sings?", external_id="a1")
        assert sent == []
    ranking = query.rankings.get()
    assert sent == [ranking.pk]
    with django_capture_on_commit_callbacks(execute=True):
        intake.ask(project, "Who sings?", external_id="a1")
    assert sent == [ranking.pk, ranking.pk]  # the first message may be lost; the task writes one draft


def test_a_known_query_without_a_ranking_is_returned_as_it_is(project: Project, release: Release) -> None:
    imported = Query.objects.create(project=project, external_id="a1", text="Who sings?")
    assert intake.ask(project, "Who sings?", external_id="a1") == imported


@pytest.mark.slow
@pytest.mark.parametrize("answer_mode", Release.AnswerMode.values)
def test_a_draft_is_written_once(project: Project, release: Release, generator_folder: Path, answer_mode: str) -> None:
    row = Generator.objects.create(name="tiny", base_path=str(generator_folder), sha256="tiny")
    lifecycle.promote(lifecycle.create_candidate(project, generator=row, answer_mode=answer_mode))
    query = intake.ask(project, "Which lion sleeps?", source=Source.PAGE)
    waiting = drafts.rankings_to_draft(project, 5)
    assert waiting == [query.rankings.get().pk]
    for _time in range(2):
        tasks.draft(waiting[0])
    written = Draft.objects.get()
    assert (written.generator, written.ranking_id) == (row, waiting[0])
    assert drafts.rankings_to_draft(project, 5) == []
