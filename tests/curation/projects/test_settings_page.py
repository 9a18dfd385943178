"""Settings page of a project: its fields, grades and guidelines."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from django.test import Client

from curation.annotation import claims, judgements
from curation.models import Project, Query
from curation.projects.forms import ProjectForm


def settings_form_data(project: Project, **changes: object) -> dict[str, object]:
    """Return what the form sends when only `changes` were made."""
    return {name: getattr(project, name) for name in ProjectForm.Meta.fields} | {"project": "1"} | changes


def test_only_a_manager_may_see_and_change_settings(
    client: Client, carol: User, erin: User, mona: User, project: Project
) -> None:
    for person, status in ((carol, 404), (erin, 403), (mona, 200)):
        client.force_login(person)
        assert client.get("/p/zoo/settings/").status_code == status
    client.force_login(erin)
    assert client.post("/p/zoo/settings/", settings_form_data(project, name="Mine")).status_code == 403
    project.refresh_from_db()
    assert project.name == "Zoo guide"


def test_a_manager_changes_a_setting(client: Client, mona: User, project: Project) -> None:
    client.force_login(mona)
    answer = client.post("/p/zoo/settings/", settings_form_data(project, overlap=3), follow=True)
    assert "Saved." in answer.text
    project.refresh_from_db()
    assert project.overlap == 3


def test_a_bad_value_comes_back_beside_its_field(client: Client, mona: User, project: Project) -> None:
    client.force_login(mona)
    answer = client.post("/p/zoo/settings/", settings_form_data(project, overlap=0, name=""))
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    project.refresh_from_db()
    assert project.overlap == 1


def test_new_guidelines_are_the_next_version_and_an_unchanged_text_is_not(
    client: Client, mona: User, project: Project
) -> None:
    client.force_login(mona)
    for text, versions in (("Grade kindly.", 1), ("Grade kindly.", 1), ("Grade well.", 2)):
        client.post("/p/zoo/settings/", {"guidelines": "1", "g-text": text})
        assert project.guidelines.count() == versions
    assert client.post("/p/zoo/settings/", {"guidelines": "1", "g-text": ""}).status_code == 422


def test_grade_labels_can_be_changed_until_the_first_judgement(
    client: Client, mona: User, alice: User, project: Project, wait: Callable[..., Query]
) -> None:
    client.force_login(mona)
    sent = (
        {"grades": "1"} | {f"r-label_{n}": f"Step {n}" for n in range(4)} | {f"r-description_{n}": "" for n in range(4)}
    )
    assert client.post("/p/zoo/settings/", sent | {"r-label_0": ""}).status_code == 422
    assert client.post("/p/zoo/settings/", sent).status_code == 302
    project.refresh_from_db()
    assert [row["label"] for row in project.grades] == ["Step 0", "Step 1", "Step 2", "Step 3"]
    wait("Who sleeps?", shown="lion")
    assignment = claims.claim_next(project, alice)
    assert assignment is not None
    judgements.record(assignment, assignment.ranking.shown.get().passage_id, 2)
    assert client.post("/p/zoo/settings/", sent | {"r-label_0": "Nothing"}).status_code == 422
    project.refresh_from_db()
    assert project.grades[0]["label"] == "Step 0"
    assert "Locked: judgements were made with these labels." in client.get("/p/zoo/settings/").text
