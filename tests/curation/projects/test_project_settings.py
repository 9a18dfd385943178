"""The rules of a project change: the slots of open queries follow, and the record says who changed what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.annotation import assignments, judgements
from curation.models import Assignment, Event, Project, Query
from curation.projects import project_settings

Wait = Callable[..., Query]
State = Assignment.State


def judge(query: Query, person: User) -> None:
    work = assignments.claim(query, person)
    for passage_id in work.order:
        judgements.record(work, passage_id, 1)
    judgements.submit(work)


def states(query: Query) -> list[tuple[int, str]]:
    return list(query.assignments.order_by("slot").values_list("slot", "state"))


def widen(project: Project, overlap: int, mona: User) -> None:
    project_settings.change(project, {"overlap": overlap}, actor=mona)
    project.refresh_from_db()
    project_settings.follow_overlap(project)


def test_a_wider_overlap_asks_for_the_people_who_are_missing(
    project: Project, wait: Wait, alice: User, bob: User, mona: User
) -> None:
    project.overlap = 2
    project.save()
    begun, fresh = wait(), wait()
    judge(begun, alice)
    widen(project, 3, mona)
    assert states(begun) == [(1, State.SUBMITTED), (2, State.OPEN), (3, State.OPEN)]
    assert states(fresh) == [(1, State.OPEN), (2, State.OPEN), (3, State.OPEN)]


def test_what_is_settled_or_judged_as_often_as_its_own_overlap_says_stays(
    project: Project, wait: Wait, alice: User, mona: User
) -> None:
    settled, own = wait(), wait(overlap=1)
    judge(settled, alice)
    widen(project, 2, mona)
    assert states(settled) == [(1, State.SUBMITTED)] and states(own) == [(1, State.OPEN)]


def test_a_narrower_overlap_closes_free_slots_and_settles_what_is_judged_often_enough(
    project: Project, wait: Wait, alice: User, bob: User, mona: User
) -> None:
    widen(project, 3, mona)
    judged, held = wait(), wait()
    judge(judged, alice)
    assignments.claim(held, alice)
    widen(project, 1, mona)
    judged.refresh_from_db()
    assert judged.state == Query.State.SETTLED and states(judged) == [(1, State.SUBMITTED)]
    assert states(held) == [(1, State.CLAIMED)]


def test_nobody_loses_what_they_have_in_hand(project: Project, wait: Wait, alice: User, bob: User, mona: User) -> None:
    widen(project, 2, mona)
    query = wait()
    judge(query, alice)
    work = assignments.claim(query, bob)
    widen(project, 1, mona)
    query.refresh_from_db()
    assert query.state == Query.State.OPEN
    for passage_id in work.order:
        judgements.record(work, passage_id, 1)
    judgements.submit(work)
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED


def test_twice_is_once_and_waiting_queries_without_slots_are_left_alone(
    project: Project, wait: Wait, mona: User
) -> None:
    query = wait()
    bare = Query.objects.create(project=project, external_id="bare", text="Who?")
    for _time in range(2):
        widen(project, 2, mona)
    assert states(query) == [(1, State.OPEN), (2, State.OPEN)] and states(bare) == []
    assert Event.objects.filter(verb="settings_changed").count() == 1


def test_one_query_may_ask_for_more_people_than_the_project(
    client: Client, project: Project, wait: Wait, mona: User, erin: User
) -> None:
    query, other = wait(), wait()
    address = f"/p/zoo/queries/{query.pk}/overlap/"
    client.force_login(erin)
    assert client.post(address, {"overlap": "3"}).status_code == 403
    client.force_login(mona)
    client.post(address, {"overlap": "3"})
    assert len(states(query)) == 3 and len(states(other)) == 1
    assert "less than or equal to 50" in client.post(address, {"overlap": "99"}, follow=True).text
    client.post(address, {"overlap": ""})
    query.refresh_from_db()
    assert query.overlap is None and states(query) == [(1, State.OPEN)]


def test_a_manager_makes_a_gold_question_of_a_settled_one_and_an_ordinary_one_again(
    client: Client, project: Project, wait: Wait, alice: User, mona: User
) -> None:
    query = wait()
    client.force_login(mona)
    address = f"/p/zoo/queries/{query.pk}/gold/"
    assert "Only a settled query" in client.post(address, follow=True).text
    judge(query, alice)
    assert "ordinary question again" in client.post(address, follow=True).text
    query.refresh_from_db()
    assert set(query.gold.values()) == {1}
    client.post(address)
    query.refresh_from_db()
    assert query.gold is None


@pytest.mark.django_db(transaction=True)
def test_the_sweep_sends_the_message_that_was_lost_until_the_slots_follow(
    project: Project, wait: Wait, mona: User, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Callable
) -> None:
    from curation import tasks

    sent: list[int] = []
    monkeypatch.setattr(tasks.follow_overlap, "apply_async", lambda args, **options: sent.extend(args))
    query = wait()
    widen(project, 1, mona)
    tasks.expire()
    assert sent == []  # the slots follow already
    project_settings.change(project, {"overlap": 3}, actor=mona)  # and nobody hears of it
    tasks.expire()
    tasks.expire()
    assert sent == [project.pk, project.pk] and len(states(query)) == 1
    stale = Project.objects.get(pk=project.pk)
    for pk in sent:
        tasks.follow_overlap(pk)
    assert len(states(query)) == 3
    project_settings.change(project, {"overlap": 2}, actor=mona)
    project_settings.follow_overlap(stale)  # a worker that began before the change ends after it
    sent.clear()
    tasks.expire()
    assert sent == [project.pk]
    tasks.follow_overlap(project.pk)
    assert len(states(query)) == 2
    sent.clear()
    with django_assert_max_num_queries(5):
        tasks.expire()
    assert sent == []


@pytest.mark.parametrize("of_the_query", [False, True])
def test_a_slot_too_many_closes_when_its_lease_ends(
    project: Project, wait: Wait, alice: User, bob: User, mona: User, of_the_query: bool
) -> None:
    project.overlap = 2
    project.save()
    query = wait()
    first, second = assignments.claim(query, alice), assignments.claim(query, bob)
    if of_the_query:
        project_settings.set_overlap(query, 1, actor=mona)
    else:
        widen(project, 1, mona)
    assert Project.objects.with_other_slots().get() == project  # both hold theirs: nothing could be closed
    for work in (first, second):
        assignments.release(work)
    project_settings.follow_overlap(Project.objects.get(pk=project.pk))
    assert [state for _, state in states(query) if state == State.OPEN] == [State.OPEN]
    assert not Project.objects.with_other_slots().exists()


@pytest.mark.django_db(transaction=True)
def test_the_settings_page_has_the_slots_follow(
    client: Client, project: Project, wait: Wait, mona: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation import tasks
    from tests.curation.projects.test_settings_page import whole

    sent: list[int] = []
    monkeypatch.setattr(tasks.follow_overlap, "apply_async", lambda args, **options: sent.extend(args))
    query = wait()
    client.force_login(mona)
    client.post("/p/zoo/settings/", whole(project, overlap=2))
    tasks.follow_overlap(*sent)
    assert len(states(query)) == 2
