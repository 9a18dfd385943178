"""Members of a project: a manager adds, changes and removes them, and the project keeps a manager."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.annotation import claims, judgements
from curation.models import Assignment, Event, Judgement, Membership, Project, Query
from curation.projects import members

Wait = Callable[..., Query]
Role = Membership.Role


@pytest.fixture
def manager(client: Client, mona: User) -> Client:
    client.force_login(mona)
    return client


def membership_of(project: Project, user: User) -> Membership:
    return Membership.objects.get(project=project, user=user)


def form_data(membership: Membership, **changes: object) -> dict[str, object]:
    """Return what a member's form sends when only `changes` were made."""
    fields = {"role": membership.role, "daily_quota": membership.daily_quota} | changes
    return {f"m{membership.pk}-{name}": value for name, value in fields.items()}


def test_only_a_manager_sees_and_changes_people(client: Client, erin: User, alice: User, project: Project) -> None:
    client.force_login(erin)
    assert client.get("/p/zoo/members/").status_code == 403
    own = membership_of(project, erin)
    assert client.post(f"/p/zoo/members/{own.pk}/", form_data(own, role=Role.MANAGER)).status_code == 403
    assert client.post(f"/p/zoo/members/{membership_of(project, alice).pk}/remove/").status_code == 403
    assert membership_of(project, erin).role == Role.ENGINEER and membership_of(project, alice).role == Role.ANNOTATOR


def test_somebody_is_added_by_username(manager: Client, carol: User, project: Project) -> None:
    body = {"username": "carol", "role": Role.REVIEWER, "daily_quota": 20}
    answer = manager.post("/p/zoo/members/", body, follow=True)
    assert "carol is now a member of this project." in answer.text
    assert membership_of(project, carol).role == Role.REVIEWER and membership_of(project, carol).daily_quota == 20
    assert Event.objects.get(verb="member_added").data["user"] == carol.pk
    again = manager.post("/p/zoo/members/", body)
    assert again.status_code == 422 and "carol is already a member of this project." in again.text


def test_an_unknown_name_comes_back_beside_its_field(manager: Client, carol: User, project: Project) -> None:
    carol.is_active = False
    carol.save()
    for name in ("nobody", "carol", ""):
        answer = manager.post("/p/zoo/members/", {"username": name, "role": Role.ANNOTATOR, "daily_quota": 0})
        assert answer.status_code == 422 and 'aria-invalid="true"' in answer.text
    assert project.memberships.count() == 1


def test_role_quota_and_pause_are_changed_and_recorded(manager: Client, alice: User, project: Project) -> None:
    own = membership_of(project, alice)
    body = form_data(own, role=Role.REVIEWER, daily_quota=7, is_paused="on")
    assert "Saved." in manager.post(f"/p/zoo/members/{own.pk}/", body, follow=True).text
    own.refresh_from_db()
    assert (own.role, own.daily_quota, own.is_paused) == (Role.REVIEWER, 7, True)
    with pytest.raises(claims.Paused):
        claims.claim_next(project, alice)
    manager.post(f"/p/zoo/members/{own.pk}/", form_data(own, is_paused="on"))  # unchanged: no event
    (event,) = Event.objects.filter(verb="member_changed")
    assert event.data["was"]["role"] == "annotator" and event.data["now"]["daily_quota"] == 7


def test_each_daily_limit_says_that_0_is_no_limit(manager: Client, alice: User, project: Project) -> None:
    html = manager.get("/p/zoo/members/").text
    for prefix in ("id_", f"id_m{membership_of(project, alice).pk}-"):
        assert f'<label for="{prefix}daily_quota">Daily limit (0 = none)</label>' in html


def test_a_bad_quota_comes_back_in_its_row(manager: Client, alice: User, project: Project) -> None:
    answer = manager.post(
        f"/p/zoo/members/{membership_of(project, alice).pk}/", form_data(membership_of(project, alice), daily_quota=-1)
    )
    assert answer.status_code == 422 and 'value="-1"' in answer.text
    assert membership_of(project, alice).daily_quota == 0


def test_the_claims_of_a_removed_member_go_back_to_the_queue_and_their_judgements_stay(
    manager: Client, alice: User, bob: User, project: Project, wait: Wait
) -> None:
    wait("First?", overlap=1)
    submitted = claims.claim_next(project, alice)
    assert submitted is not None
    for passage_id in submitted.order:
        judgements.record(submitted, passage_id, 1)
    judgements.submit(submitted)
    wait("Second?", overlap=1)
    held = claims.claim_next(project, alice)
    own = membership_of(project, alice)
    assert "go back to the queue" in manager.get(f"/p/zoo/members/{own.pk}/remove/").text
    assert (
        "alice is no longer a member of this project."
        in manager.post(f"/p/zoo/members/{own.pk}/remove/", follow=True).text
    )
    assert not project.memberships.filter(user=alice).exists()
    assert Judgement.objects.filter(curator=alice).count() == len(submitted.order)
    next_claim = claims.claim_next(project, bob)
    assert held is not None and next_claim is not None and next_claim.query_id == held.query_id
    assert Assignment.objects.get(pk=held.pk).state == Assignment.State.EXPIRED


def test_the_last_manager_neither_leaves_nor_steps_down(manager: Client, mona: User, project: Project) -> None:
    own = membership_of(project, mona)
    for answer in (
        manager.post(f"/p/zoo/members/{own.pk}/", form_data(own, role=Role.REVIEWER)),
        manager.post(f"/p/zoo/members/{own.pk}/remove/"),
    ):
        assert answer.status_code == 422 and "A project needs a manager." in answer.text
    assert membership_of(project, mona).role == Role.MANAGER


def test_a_manager_who_steps_down_is_redirected_to_a_page_that_they_may_open(
    manager: Client, mona: User, erin: User, project: Project
) -> None:
    members.change(membership_of(project, erin), Role.MANAGER, 0, False, actor=mona)
    own = membership_of(project, mona)
    answer = manager.post(f"/p/zoo/members/{own.pk}/", form_data(own, role=Role.ANNOTATOR), follow=True)
    assert answer.status_code == 200 and answer.request["PATH_INFO"] == "/p/zoo/"


def test_the_page_counts_what_each_person_has_submitted(
    client: Client, project: Project, mona: User, alice: User, wait: Callable[..., Query]
) -> None:
    work = claims.claim(wait(), alice)
    for passage_id in work.order:
        judgements.record(work, passage_id, 1)
    judgements.submit(work)
    client.force_login(mona)
    html = client.get("/p/zoo/members/").text
    assert html.count("1 submission<") == 1 and "0 submissions<" in html
