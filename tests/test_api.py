"""The API offers the same acts as the pages; errors have one format."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.test import APIClient

from curation.models import Assignment, Project, Query, Release
from tuning.models import Cycle


def _as(user: User | None) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def _error(response: Any) -> tuple[str, str, str | None]:
    """Return code, detail and field of the only error of a response."""
    [error] = response.json()["errors"]
    return error["code"], error["detail"], error["attr"]


def test_asking_gives_the_passages_at_once(project: Project, release: Release, alice: User) -> None:
    answer = _as(alice).post("/api/v1/projects/zoo/queries/", {"text": "what does the panda eat"}, format="json")
    assert answer.status_code == 201
    body = answer.json()
    assert body["passages"][0]["passage"] == "panda"
    assert (body["release"], body["draft"], body["state"]) == (1, None, "open")
    assert Query.objects.get(pk=body["id"]).source == Query.Source.API
    assert Assignment.objects.filter(query=body["id"]).open().count() == 1


def test_the_same_id_asked_twice_is_one_query(project: Project, release: Release, alice: User) -> None:
    body = {"text": "what does the panda eat", "external_id": "q1"}
    first, second = (_as(alice).post("/api/v1/projects/zoo/queries/", body, format="json").json() for _ in range(2))
    assert first["id"] == second["id"]
    assert Query.objects.count() == 1


def test_a_query_has_an_address_of_its_own(project: Project, release: Release, alice: User) -> None:
    created = _as(alice).post("/api/v1/projects/zoo/queries/", {"text": "zebra stripes"}, format="json").json()
    assert _as(alice).get(f"/api/v1/projects/zoo/queries/{created['id']}/").json() == created
    assert _as(alice).get("/api/v1/projects/zoo/queries/").json()["count"] == 1


def test_without_a_live_release_a_question_is_a_conflict_with_its_reason(project: Project, alice: User) -> None:
    answer = _as(alice).post("/api/v1/projects/zoo/queries/", {"text": "zebra"}, format="json")
    assert answer.status_code == 409
    code, detail, _field = _error(answer)
    assert code == "conflict" and "build the index" in detail


def test_an_empty_question_is_refused_by_field(project: Project, release: Release, alice: User) -> None:
    answer = _as(alice).post("/api/v1/projects/zoo/queries/", {"text": " "}, format="json")
    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_error" and _error(answer)[2] == "text"


@pytest.mark.parametrize("path", ["queries/", "releases/", "cycles/"])
def test_a_stranger_is_not_told_that_the_project_exists(project: Project, carol: User, path: str) -> None:
    assert _as(carol).get(f"/api/v1/projects/zoo/{path}").status_code == 404
    assert _as(carol).get("/api/v1/projects/").json()["results"] == []
    assert _as(None).get(f"/api/v1/projects/zoo/{path}").status_code in (401, 403)


def test_only_engineers_start_a_cycle(project: Project, release: Release, alice: User, erin: User) -> None:
    refused = _as(alice).post("/api/v1/projects/zoo/cycles/", {}, format="json")
    assert refused.status_code == 403 and _error(refused)[:2] == ("permission_denied", "You need the engineer role.")
    answer = _as(erin).post("/api/v1/projects/zoo/cycles/", {"only": "retriever"}, format="json")
    assert answer.status_code == 201
    assert Cycle.objects.get().only == "retriever"
    again = _as(erin).post("/api/v1/projects/zoo/cycles/", {}, format="json")
    assert again.status_code == 409 and "unfinished" in _error(again)[1]


def test_releases_are_listed(project: Project, release: Release, alice: User) -> None:
    rows = _as(alice).get("/api/v1/projects/zoo/releases/").json()["results"]
    assert [(row["number"], row["state"]) for row in rows] == [(1, "serving")]


def test_the_schema_is_valid_without_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "ConflictResponse" in capsys.readouterr().out


def test_the_schema_and_its_page_answer(client, alice: User) -> None:  # type: ignore[no-untyped-def]
    client.force_login(alice)
    schema = client.get("/api/schema/")
    assert schema.status_code == 200
    assert b"/api/v1/projects/{slug}/queries/" in schema.content
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert b"https://" not in page.content  # nothing from a CDN
    assert b"<style" not in page.content and b"css/api.css" in page.content  # the policy forbids inline styles
