"""Overlap: the slots of open queries follow the number of annotators, and the audit log says who changed it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.annotation import claims, judgements, leases
from curation.models import Assignment, Event, Project, Query
from curation.projects import overlap as project_overlap
from curation.projects import project_settings

Wait = Callable[..., Query]
State = Assignment.State


def judge(query: Query, person: User) -> None:
    work = claims.claim(query, person)
    for passage_id in work.order:
        judgements.record(work, passage_id, 1)
    judgements.submit(work)


def states(query: Query) -> list[tuple[int, str]]:
    return list(query.assignments.order_by("slot").values_list("slot", "state"))


def widen(project: Project, overlap: int, mona: User) -> None:
    project_settings.change(project, {"overlap": overlap}, actor=mona)
    project.refresh_from_db()
    project_overlap.adjust_slots(project)


def test_a_wider_overlap_opens_the_missing_slots(
    project: Project, wait: Wait, alice: User, bob: User, mona: User
) -> None:
    project.overlap = 2
    project.save()
    started, fresh = wait(), wait()
    judge(started, alice)
    widen(project, 3, mona)
    assert states(started) == [(1, State.SUBMITTED), (2, State.OPEN), (3, State.OPEN)]
    assert states(fresh) == [(1, State.OPEN), (2, State.OPEN), (3, State.OPEN)]


def test_settled_queries_and_queries_with_their_own_overlap_stay(
    project: Project, wait: Wait, alice: User, mona: User
) -> None:
    settled, own = wait(), wait(overlap=1)
    judge(settled, alice)
    widen(project, 2, mona)
    assert states(settled) == [(1, State.SUBMITTED)] and states(own) == [(1, State.OPEN)]


def test_a_narrower_overlap_closes_free_slots_and_settles_queries_that_are_judged_often_enough(
    project: Project, wait: Wait, alice: User, bob: User, mona: User
) -> None:
    widen(project, 3, mona)
    judged, held = wait(), wait()
    judge(judged, alice)
    claims.claim(held, alice)
    widen(project, 1, mona)
    judged.refresh_from_db()
    assert judged.state == Query.State.SETTLED and states(judged) == [(1, State.SUBMITTED)]
    assert states(held) == [(1, State.CLAIMED)]


def test_nobody_loses_a_claimed_assignment(project: Project, wait: Wait, alice: User, bob: User, mona: User) -> None:
    widen(project, 2, mona)
    query = wait()
    judge(query, alice)
    work = claims.claim(query, bob)
    widen(project, 1, mona)
    query.refresh_from_db()
    assert query.state == Query.State.OPEN
    for passage_id in work.order:
        judgements.record(work, passage_id, 1)
    judgements.submit(work)
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED


def test_a_second_adjustment_changes_nothing_and_queries_without_slots_stay_without(
    project: Project, wait: Wait, mona: User
) -> None:
    query = wait()
    bare = Query.objects.create(project=project, external_id="bare", text="Who?")
    for _time in range(2):
        widen(project, 2, mona)
    assert states(query) == [(1, State.OPEN), (2, State.OPEN)] and states(bare) == []
    assert Event.objects.filter(verb="settings_changed").count() == 1


def test_one_query_may_have_more_annotators_than_the_project_says(
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


@pytest.mark.django_db(transaction=True)
def test_the_sweep_sends_a_lost_message_until_the_slots_are_adjusted(
    project: Project, wait: Wait, mona: User, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Callable
) -> None:
    from curation import tasks

    sent: list[int] = []
    monkeypatch.setattr(tasks.adjust_slots, "apply_async", lambda args, **options: sent.extend(args))
    query = wait()
    widen(project, 1, mona)
    tasks.expire()
    assert sent == []  # the slots are right already
    project_settings.change(project, {"overlap": 3}, actor=mona)
    assert sent == [project.pk]
    sent.clear()  # the message is lost
    tasks.expire()
    tasks.expire()
    assert sent == [project.pk, project.pk] and len(states(query)) == 1
    stale = Project.objects.get(pk=project.pk)
    for pk in sent:
        tasks.adjust_slots(pk)
    assert len(states(query)) == 3
    project_settings.change(project, {"overlap": 2}, actor=mona)
    project_overlap.adjust_slots(stale)  # a worker that began before the change ends after it
    sent.clear()
    tasks.expire()
    assert sent == [project.pk]
    tasks.adjust_slots(project.pk)
    assert len(states(query)) == 2
    sent.clear()
    with django_assert_max_num_queries(5):
        tasks.expire()
    assert sent == []


@pytest.mark.parametrize("of_the_query", [False, True])
def test_a_surplus_slot_closes_when_its_lease_ends(
    project: Project, wait: Wait, alice: User, bob: User, mona: User, of_the_query: bool
) -> None:
    project.overlap = 2
    project.save()
    query = wait()
    first, second = claims.claim(query, alice), claims.claim(query, bob)
    if of_the_query:
        project_overlap.set_for_query(query, 1, actor=mona)
    else:
        widen(project, 1, mona)
    assert Project.objects.with_outdated_slots().get() == project  # both hold theirs: nothing could be closed
    for work in (first, second):
        leases.end(work)
    project_overlap.adjust_slots(Project.objects.get(pk=project.pk))
    assert [state for _, state in states(query) if state == State.OPEN] == [State.OPEN]
    assert not Project.objects.with_outdated_slots().exists()


@pytest.mark.django_db(transaction=True)
def test_the_settings_page_adjusts_the_slots(
    client: Client, project: Project, wait: Wait, mona: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation import tasks
    from tests.curation.projects.test_settings_page import settings_form_data

    sent: list[int] = []
    monkeypatch.setattr(tasks.adjust_slots, "apply_async", lambda args, **options: sent.extend(args))
    query = wait()
    client.force_login(mona)
    client.post("/p/zoo/settings/", settings_form_data(project, overlap=2))
    tasks.adjust_slots(*sent)
    assert len(states(query)) == 2
