"""The admin lists every table, edits settings, and changes work only through the acts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from curation.admin.base import CappedPaginator
from curation.annotation import claims, judgements
from curation.models import Assignment, Event, Guidelines, Judgement, Membership, Project, Query, Review

Wait = Callable[..., Query]
MODELS = [model for model in admin.site._registry if model._meta.app_label == "curation"]


@pytest.fixture
def boss(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def done(project: Project, alice: User, wait: Wait) -> Assignment:
    wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, 1)
    return judgements.submit(claimed).assignment


def _act(client: Client, model: type, action: str, pk: int, **more: object) -> None:
    url = reverse(f"admin:curation_{model._meta.model_name}_changelist")  # type: ignore[attr-defined]
    answer = client.post(url, {"action": action, "_selected_action": [pk], **more}, follow=True)
    assert answer.status_code == 200


def test_the_admin_has_the_name_of_the_product(boss: Client) -> None:
    html = boss.get(reverse("admin:index")).content.decode()
    assert "Tandem" in html and "Django administration" not in html


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_list_opens_and_can_be_searched(boss: Client, done: Assignment, model: type) -> None:
    url = reverse(f"admin:curation_{model._meta.model_name}_changelist")  # type: ignore[attr-defined]
    assert boss.get(url).status_code == 200
    if admin.site._registry[model].search_fields:
        assert boss.get(url, {"q": "lion"}).status_code == 200


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_row_opens(boss: Client, done: Assignment, model: type) -> None:
    row = model._default_manager.first()  # type: ignore[attr-defined]
    if row is not None:
        url = reverse(f"admin:curation_{model._meta.model_name}_change", args=[row.pk])  # type: ignore[attr-defined]
        assert boss.get(url).status_code == 200


@pytest.mark.parametrize("model", [Judgement, Event, Review, Assignment])
def test_events_and_judgements_cannot_be_edited(boss: Client, done: Assignment, model: type) -> None:
    name = model._meta.model_name  # type: ignore[attr-defined]
    row = model._default_manager.first()  # type: ignore[attr-defined]
    assert boss.post(reverse(f"admin:curation_{name}_change", args=[row.pk]), {}).status_code == 403
    assert boss.post(reverse(f"admin:curation_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert boss.get(reverse(f"admin:curation_{name}_add")).status_code == 403


def test_a_judgement_shows_its_history(boss: Client, done: Assignment) -> None:
    judgement = done.judgements.first()
    assert judgement is not None
    page = boss.get(reverse("admin:curation_judgement_change", args=[judgement.pk])).content.decode()
    assert "graded" in page and "alice" in page


def test_a_lease_can_be_released_and_the_slot_given_to_somebody(
    boss: Client, project: Project, alice: User, bob: User, wait: Wait
) -> None:
    wait(), wait()
    first = claims.claim_next(project, alice)
    assert first is not None
    second = claims.claim_next(project, alice, beside=first.pk)
    assert second is not None
    _act(boss, Assignment, "release_lease", first.pk)
    _act(boss, Assignment, "reassign", second.pk, person=bob.pk)
    first.refresh_from_db(), second.refresh_from_db()
    assert (first.state, second.state) == (Assignment.State.EXPIRED, Assignment.State.SKIPPED)
    assert Assignment.objects.held_by(bob).get().query == second.query
    assert Event.objects.filter(verb="reassigned", actor__username="boss").exists()


def test_a_settled_query_can_be_reopened(boss: Client, done: Assignment) -> None:
    _act(boss, Query, "reopen", done.query_id)
    done.query.refresh_from_db()
    assert done.query.state == Query.State.IN_REVIEW


def test_grades_are_locked_once_judged(boss: Client, done: Assignment) -> None:
    page = boss.get(reverse("admin:curation_project_change", args=[done.project_id])).content.decode()
    assert 'name="grades"' not in page


def test_guidelines_get_the_next_version(boss: Client, project: Project) -> None:
    for text in ("Grade with care.", "Grade with more care."):
        boss.post(reverse("admin:curation_guidelines_add"), {"project": project.pk, "text": text})
    assert list(Guidelines.objects.order_by("version").values_list("version", flat=True)) == [1, 2]


def test_a_count_stops_at_its_cap(done: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CappedPaginator, "MAX_COUNT", 2)
    assert CappedPaginator(Judgement.objects.order_by("pk"), 50).count == 2
    assert CappedPaginator([1, 2, 3], 50).count == 3


def test_members_follow_the_rules_of_their_page_and_are_logged(
    boss: Client, project: Project, alice: User, mona: User
) -> None:
    alone = Membership.objects.get(project=project, role=Membership.Role.MANAGER)
    alices = Membership.objects.get(project=project, user=alice)
    changed = Event.objects.filter(verb="member_changed")
    url = reverse("admin:curation_membership_change", args=[alices.pk])
    boss.post(url, {"role": alices.role, "daily_quota": 7, "is_paused": "on"})
    assert changed.get().data["now"] == {"role": alices.role, "daily_quota": 7, "is_paused": True}
    _act(boss, Membership, "resume", alices.pk)
    alices.refresh_from_db()
    assert not alices.is_paused and changed.count() == 2
    page = boss.post(
        reverse("admin:curation_membership_change", args=[alone.pk]),
        {"role": Membership.Role.ANNOTATOR, "daily_quota": 0},
        follow=True,
    )
    assert "A project needs a manager." in page.content.decode()
    boss.post(reverse("admin:curation_membership_delete", args=[alone.pk]), {"post": "yes"})
    alone.refresh_from_db()
    assert alone.role == Membership.Role.MANAGER
    boss.post(reverse("admin:curation_membership_delete", args=[alices.pk]), {"post": "yes"})
    assert Event.objects.filter(verb="member_removed").count() == 1
    new = {"project": project.pk, "user": alice.pk, "role": Membership.Role.ANNOTATOR, "daily_quota": 3}
    boss.post(reverse("admin:curation_membership_add"), new)
    assert Event.objects.get(verb="member_added").data["daily_quota"] == 3
    assert Membership.objects.get(project=project, user=alice).daily_quota == 3
