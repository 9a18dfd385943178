"""The page where grades that were passed on are confirmed or refused, and where they are not to be seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from curation.annotation import assignments, judgements
from curation.models import Judgement, Project, Query, SuggestedGrade
from curation.propagation import label_propagation
from curation.queries import intake

Wait = Callable[..., Query]
State = SuggestedGrade.State
PAGE, DECIDE = "/p/zoo/suggested-grades/", "/p/zoo/suggested-grades/decide/"


@pytest.fixture
def offered(project: Project, alice: User, wait: Wait, monkeypatch: pytest.MonkeyPatch) -> Query:
    """A query that was offered two grades of one like it."""
    monkeypatch.setattr(intake, "EVALUATION_SHARE", 0.0)
    first = assignments.claim(wait("Which animals sleep for three years?", "snail lion"), alice)
    for passage_id in first.order:
        judgements.record(first, passage_id, 2)
    judgements.submit(first)
    query = wait("Which animal sleeps for three years?", "snail lion whale")
    label_propagation.offer_all(project)
    return query


def _ids(project: Project) -> list[int]:
    return list(project.suggested_grades.order_by("pk").values_list("pk", flat=True))


def test_a_reviewer_sees_what_waits_and_where_it_comes_from(client: Client, bob: User, offered: Query) -> None:
    client.force_login(bob)
    page = client.get(PAGE).content.decode()
    assert "Which animal sleeps for three years?" in page and "Which animals sleep for three years?" in page
    assert page.count('name="offers"') == 2 and page.count(" checked") == 2
    assert f'href="{PAGE}"' in client.get("/p/zoo/reviews/").content.decode()


def test_the_chosen_are_confirmed_and_the_others_wait(
    client: Client, project: Project, bob: User, offered: Query
) -> None:
    client.force_login(bob)
    one, other = _ids(project)
    answer = client.post(DECIDE, {"offers": [one], "decision": "confirm"}, follow=True)
    assert "1 grade confirmed." in answer.content.decode()
    assert project.suggested_grades.get(pk=one).state == State.CONFIRMED
    assert project.suggested_grades.get(pk=other).state == State.WAITING
    client.post(DECIDE, {"offers": [other], "decision": "refuse"})
    decided = client.get(PAGE, {"state": "decided"}).content.decode()
    assert "Take the chosen back" in decided and "confirmed" in decided and "refused" in decided
    client.post(DECIDE, {"offers": [one, other], "decision": "take_back"})
    assert project.suggested_grades.waiting().count() == 2
    assert not Judgement.objects.standing().filter(query=offered).exists()


@pytest.mark.parametrize("sent", [{}, {"offers": ["x"], "decision": "confirm"}, {"offers": ["1"], "decision": "burn"}])
def test_a_form_that_says_nothing_changes_nothing(
    client: Client, project: Project, bob: User, offered: Query, sent: dict[str, object]
) -> None:
    client.force_login(bob)
    assert client.post(DECIDE, sent).status_code == 302
    assert project.suggested_grades.waiting().count() == 2


def test_a_curator_is_shown_none_of_it(client: Client, project: Project, mona: User, bob: User, offered: Query) -> None:
    """Neither while judging, nor on the query's page before the own work is in; nor in the list while one judges."""
    for person in (mona, bob):
        project.memberships.filter(user=person).update(role="reviewer")
    client.force_login(bob)
    held = assignments.claim(offered, bob)
    assert "Which animal sleeps" not in client.get(PAGE).content.decode()
    for address in (f"/p/zoo/assignments/{held.pk}/", f"/p/zoo/queries/{offered.pk}/"):
        page = client.get(address).content.decode()
        assert "rovisional" not in page.replace(reverse("curation:suggested_grades", args=["zoo"]), "")
    assert not any(card.chosen for card in client.get(f"/p/zoo/assignments/{held.pk}/").context["work"].cards)


def test_an_engineer_sees_on_the_query_that_a_grade_is_provisional(client: Client, erin: User, offered: Query) -> None:
    client.force_login(erin)
    assert "suggested: 2" in client.get(f"/p/zoo/queries/{offered.pk}/").content.decode()


def test_a_program_confirms_a_batch(client: Client, project: Project, alice: User, bob: User, offered: Query) -> None:
    address = "/api/v1/projects/zoo/suggested-grades/"
    client.force_login(alice)
    assert client.get(address).status_code == 403
    client.force_login(bob)
    rows = client.get(address).json()["results"]
    assert {(row["passage"], row["grade"], row["kind"], row["state"]) for row in rows} == {
        ("snail", 2, "query", "waiting"),
        ("lion", 2, "query", "waiting"),
    }
    body = {"ids": [row["id"] for row in rows], "decision": "confirm"}
    done = client.post(address, body, content_type="application/json")
    assert done.json() == {"done": 2, "overtaken": 0, "left": 0}
    assert client.post(address, {"ids": [], "decision": "x"}, content_type="application/json").status_code == 400


def test_the_admin_confirms_and_refuses(client: Client, project: Project, offered: Query) -> None:
    boss = User.objects.create_superuser("boss")
    client.force_login(boss)
    one, other = _ids(project)
    address = reverse("admin:curation_suggestedgrade_changelist")
    client.post(address, {"action": "confirm", "_selected_action": [one]})
    client.post(address, {"action": "refuse", "_selected_action": [other]})
    states = dict(project.suggested_grades.values_list("pk", "state"))
    assert states == {one: State.CONFIRMED, other: State.REFUSED}
