"""The page of suggested grades: confirm, reject, undo; and who must not see them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from curation.annotation import claims, judgements
from curation.models import Judgement, Project, Query, SuggestedGrade
from curation.propagation import label_propagation
from curation.queries import evaluation_sample

Wait = Callable[..., Query]
State = SuggestedGrade.State
PAGE, DECIDE = "/p/zoo/suggested-grades/", "/p/zoo/suggested-grades/decide/"


@pytest.fixture
def suggested(project: Project, alice: User, wait: Wait, monkeypatch: pytest.MonkeyPatch) -> Query:
    """A query with two suggested grades, from a query like it."""
    monkeypatch.setattr(evaluation_sample, "EVALUATION_SHARE", 0.0)
    first = claims.claim(wait("Which animals sleep for three years?", "snail lion"), alice)
    for passage_id in first.order:
        judgements.record(first, passage_id, 2)
    judgements.submit(first)
    query = wait("Which animal sleeps for three years?", "snail lion whale")
    label_propagation.propagate_grades(project)
    return query


def _ids(project: Project) -> list[int]:
    return list(project.suggested_grades.order_by("pk").values_list("pk", flat=True))


def test_a_reviewer_sees_the_waiting_suggestions_with_their_source(client: Client, bob: User, suggested: Query) -> None:
    client.force_login(bob)
    page = client.get(PAGE).content.decode()
    assert "Which animal sleeps for three years?" in page and "Which animals sleep for three years?" in page
    assert page.count('name="suggestions"') == 2 and page.count(" checked") == 2
    assert f'href="{PAGE}"' in client.get("/p/zoo/reviews/").content.decode()


def test_the_selected_suggestions_are_confirmed_and_the_others_wait(
    client: Client, project: Project, bob: User, suggested: Query
) -> None:
    client.force_login(bob)
    one, other = _ids(project)
    answer = client.post(DECIDE, {"suggestions": [one], "decision": "confirm"}, follow=True)
    assert "1 grade confirmed." in answer.content.decode()
    assert project.suggested_grades.get(pk=one).state == State.CONFIRMED
    assert project.suggested_grades.get(pk=other).state == State.WAITING
    client.post(DECIDE, {"suggestions": [other], "decision": "reject"})
    decided = client.get(PAGE, {"state": "decided"}).content.decode()
    assert "Undo for the selected" in decided and "confirmed" in decided and "rejected" in decided
    client.post(DECIDE, {"suggestions": [one, other], "decision": "undo"})
    assert project.suggested_grades.waiting().count() == 2
    assert not Judgement.objects.not_withdrawn().filter(query=suggested).exists()


@pytest.mark.parametrize(
    "sent", [{}, {"suggestions": ["x"], "decision": "confirm"}, {"suggestions": ["1"], "decision": "burn"}]
)
def test_an_invalid_form_changes_nothing(
    client: Client, project: Project, bob: User, suggested: Query, sent: dict[str, object]
) -> None:
    client.force_login(bob)
    assert client.post(DECIDE, sent).status_code == 302
    assert project.suggested_grades.waiting().count() == 2


def test_an_annotator_does_not_see_suggestions(
    client: Client, project: Project, mona: User, bob: User, suggested: Query
) -> None:
    """Neither on the judge page, nor on the query's page or in the list while they judge the query."""
    for person in (mona, bob):
        project.memberships.filter(user=person).update(role="reviewer")
    client.force_login(bob)
    held = claims.claim(suggested, bob)
    assert "Which animal sleeps" not in client.get(PAGE).content.decode()
    for address in (f"/p/zoo/assignments/{held.pk}/", f"/p/zoo/queries/{suggested.pk}/"):
        page = client.get(address).content.decode()
        assert "uggested" not in page.replace(reverse("curation:suggested_grades", args=["zoo"]), "")
    assert not any(card.chosen for card in client.get(f"/p/zoo/assignments/{held.pk}/").context["work"].cards)


def test_an_engineer_sees_suggested_grades_on_the_query_page(client: Client, erin: User, suggested: Query) -> None:
    client.force_login(erin)
    assert "suggested: 2" in client.get(f"/p/zoo/queries/{suggested.pk}/").content.decode()


def test_the_api_confirms_a_batch(client: Client, project: Project, alice: User, bob: User, suggested: Query) -> None:
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
    assert done.json() == {"done": 2, "overtaken": 0, "skipped": 0}
    assert client.post(address, {"ids": [], "decision": "x"}, content_type="application/json").status_code == 400


def test_the_admin_confirms_and_rejects(client: Client, project: Project, suggested: Query) -> None:
    boss = User.objects.create_superuser("boss")
    client.force_login(boss)
    one, other = _ids(project)
    address = reverse("admin:curation_suggestedgrade_changelist")
    client.post(address, {"action": "confirm", "_selected_action": [one]})
    client.post(address, {"action": "reject", "_selected_action": [other]})
    states = dict(project.suggested_grades.values_list("pk", "state"))
    assert states == {one: State.CONFIRMED, other: State.REFUSED}
