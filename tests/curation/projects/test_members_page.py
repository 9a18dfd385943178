"""Who is of a project: a manager admits, changes and removes, and the project keeps a manager."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.annotation import assignments, judgements
from curation.models import Assignment, Event, Judgement, Membership, Project, Query
from curation.projects import members

Wait = Callable[..., Query]
Role = Membership.Role


@pytest.fixture
def manager(client: Client, mona: User) -> Client:
    client.force_login(mona)
    return client


def of(project: Project, user: User) -> Membership:
    return Membership.objects.get(project=project, user=user)


def sent(membership: Membership, **changes: object) -> dict[str, object]:
    """What a member's form sends when only `changes` were made."""
    fields = {"role": membership.role, "daily_quota": membership.daily_quota} | changes
    return {f"m{membership.pk}-{name}": value for name, value in fields.items()}


def test_only_a_manager_sees_and_changes_people(client: Client, erin: User, alice: User, project: Project) -> None:
    client.force_login(erin)
    assert client.get("/p/zoo/members/").status_code == 403
    mine = of(project, erin)
    assert client.post(f"/p/zoo/members/{mine.pk}/", sent(mine, role=Role.MANAGER)).status_code == 403
    assert client.post(f"/p/zoo/members/{of(project, alice).pk}/remove/").status_code == 403
    assert of(project, erin).role == Role.ENGINEER and of(project, alice).role == Role.ANNOTATOR


def test_somebody_is_added_by_login_name(manager: Client, carol: User, project: Project) -> None:
    body = {"username": "carol", "role": Role.REVIEWER, "daily_quota": 20}
    answer = manager.post("/p/zoo/members/", body, follow=True)
    assert "carol is of this project from now on." in answer.text
    assert of(project, carol).role == Role.REVIEWER and of(project, carol).daily_quota == 20
    assert Event.objects.get(verb="member_added").data["user"] == carol.pk
    again = manager.post("/p/zoo/members/", body)
    assert again.status_code == 422 and "carol is of this project already." in again.text


def test_a_name_that_nobody_has_comes_back_beside_its_field(manager: Client, carol: User, project: Project) -> None:
    carol.is_active = False
    carol.save()
    for name in ("nobody", "carol", ""):
        answer = manager.post("/p/zoo/members/", {"username": name, "role": Role.ANNOTATOR, "daily_quota": 0})
        assert answer.status_code == 422 and 'aria-invalid="true"' in answer.text
    assert project.memberships.count() == 1


def test_role_quota_and_pause_are_changed_and_recorded(manager: Client, alice: User, project: Project) -> None:
    mine = of(project, alice)
    body = sent(mine, role=Role.REVIEWER, daily_quota=7, is_paused="on")
    assert "Saved." in manager.post(f"/p/zoo/members/{mine.pk}/", body, follow=True).text
    mine.refresh_from_db()
    assert (mine.role, mine.daily_quota, mine.is_paused) == (Role.REVIEWER, 7, True)
    with pytest.raises(assignments.Paused):
        assignments.claim_next(project, alice)
    manager.post(f"/p/zoo/members/{mine.pk}/", sent(mine, is_paused="on"))  # nothing new: nothing to record
    (event,) = Event.objects.filter(verb="member_changed")
    assert event.data["was"]["role"] == "annotator" and event.data["now"]["daily_quota"] == 7


def test_each_quota_says_that_0_is_no_limit(manager: Client, alice: User, project: Project) -> None:
    html = manager.get("/p/zoo/members/").text
    for prefix in ("id_", f"id_m{of(project, alice).pk}-"):
        assert f'aria-describedby="{prefix}daily_quota_helptext"' in html
        assert f'id="{prefix}daily_quota_helptext">0 is no limit.</p>' in html


def test_a_bad_quota_comes_back_in_its_row(manager: Client, alice: User, project: Project) -> None:
    answer = manager.post(f"/p/zoo/members/{of(project, alice).pk}/", sent(of(project, alice), daily_quota=-1))
    assert answer.status_code == 422 and 'value="-1"' in answer.text
    assert of(project, alice).daily_quota == 0


def test_who_leaves_gives_back_what_they_hold_and_leaves_what_they_judged(
    manager: Client, alice: User, bob: User, project: Project, wait: Wait
) -> None:
    wait("First?", overlap=1)
    done = assignments.claim_next(project, alice)
    assert done is not None
    for passage_id in done.order:
        judgements.record(done, passage_id, 1)
    judgements.submit(done)
    wait("Second?", overlap=1)
    held = assignments.claim_next(project, alice)
    mine = of(project, alice)
    assert "go back to the queue" in manager.get(f"/p/zoo/members/{mine.pk}/remove/").text
    assert (
        "alice is not of this project any more." in manager.post(f"/p/zoo/members/{mine.pk}/remove/", follow=True).text
    )
    assert not project.memberships.filter(user=alice).exists()
    assert Judgement.objects.filter(curator=alice).count() == len(done.order)
    taken = assignments.claim_next(project, bob)
    assert held is not None and taken is not None and taken.query_id == held.query_id
    assert Assignment.objects.get(pk=held.pk).state == Assignment.State.EXPIRED


def test_the_last_manager_neither_leaves_nor_steps_down(manager: Client, mona: User, project: Project) -> None:
    mine = of(project, mona)
    for answer in (
        manager.post(f"/p/zoo/members/{mine.pk}/", sent(mine, role=Role.REVIEWER)),
        manager.post(f"/p/zoo/members/{mine.pk}/remove/"),
    ):
        assert answer.status_code == 422 and "A project needs a manager." in answer.text
    assert of(project, mona).role == Role.MANAGER


def test_a_manager_who_steps_down_goes_where_they_may(
    manager: Client, mona: User, erin: User, project: Project
) -> None:
    members.change(of(project, erin), Role.MANAGER, 0, False, actor=mona)
    mine = of(project, mona)
    answer = manager.post(f"/p/zoo/members/{mine.pk}/", sent(mine, role=Role.ANNOTATOR), follow=True)
    assert answer.status_code == 200 and answer.request["PATH_INFO"] == "/p/zoo/"


def test_the_page_counts_what_each_person_has_submitted(
    client: Client, project: Project, mona: User, alice: User, wait: Callable[..., Query]
) -> None:
    work = assignments.claim(wait(), alice)
    for passage_id in work.order:
        judgements.record(work, passage_id, 1)
    judgements.submit(work)
    client.force_login(mona)
    html = client.get("/p/zoo/members/").text
    assert html.count("1 query submitted") == 1 and "0 queries submitted" in html
