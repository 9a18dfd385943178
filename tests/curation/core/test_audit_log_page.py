"""The record of a project, as its managers read it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.annotation import assignments, judgements
from curation.core import audit_log
from curation.core import views as core_views
from curation.models import Project, Query
from curation.projects import members, project_settings


@pytest.fixture
def manager(client: Client, mona: User) -> Client:
    client.force_login(mona)
    return client


def test_it_says_who_did_what_and_what_was_before(
    manager: Client, project: Project, mona: User, carol: User, wait: Callable[..., Query]
) -> None:
    project_settings.change(project, {"overlap": 3, "description": "Long. " * 30}, actor=mona)
    members.change(members.admit(project, carol, "annotator", actor=mona), "reviewer", 5, False, actor=mona)
    project_settings.set_overlap(wait(), 2, actor=mona)
    project_settings.write_guidelines(project, "Grade kindly.", actor=mona)
    html = manager.get("/p/zoo/audit-log/").content.decode()
    assert "People per query: 1 → 3" in html and "Long." not in html
    assert "carol, annotator → reviewer, 0 → 5" in html
    assert "changed how many people judge it: – → 2" in html and "wrote version 1 of the guidelines" in html


def test_it_never_tells_a_grade(manager: Client, project: Project, alice: User, wait: Callable[..., Query]) -> None:
    work = assignments.claim(wait(), alice)
    judgements.record(work, work.order[0], 3)
    html = manager.get("/p/zoo/audit-log/").content.decode()
    assert "alice graded a passage · " in html and "graded a passage: " not in html


def test_grades_in_a_row_are_one_line_and_what_nobody_did_is_a_sentence(
    manager: Client, project: Project, alice: User, wait: Callable[..., Query]
) -> None:
    work = assignments.claim(wait(), alice)
    for passage_id in work.order:
        judgements.record(work, passage_id, 1)
    judgements.submit(work)
    html = manager.get("/p/zoo/audit-log/").content.decode()
    assert html.count("alice graded a passage") == 1 and "× 3" in html
    assert "The consensus settled it" in html
    assert "× 3" in manager.get(f"/p/zoo/queries/{work.query_id}/").text


def test_it_is_read_page_by_page_and_looked_through_by_person_and_act(
    manager: Client, project: Project, mona: User, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_views, "PER_PAGE", 2)
    for number in range(3):
        audit_log.note(
            "settings_changed", project=project, actor=mona, data={"was": {"overlap": number}, "now": {"overlap": 9}}
        )
    audit_log.note("asked", project=project, actor=alice)
    first = manager.get("/p/zoo/audit-log/")
    assert "alice asked" in first.text and "2 → 9" in first.text and "1 → 9" not in first.text
    second = manager.get("/p/zoo/audit-log/", {"before": first.context["older"]})
    assert "1 → 9" in second.text and "0 → 9" in second.text and second.context["older"] is None
    assert "alice asked" not in manager.get("/p/zoo/audit-log/", {"verb": "settings_changed"}).text
    assert "2 → 9" not in manager.get("/p/zoo/audit-log/", {"person": alice.pk}).text
    assert "No such line" in manager.get("/p/zoo/audit-log/", {"verb": "settled"}).text
    assert manager.get("/p/zoo/audit-log/", {"verb": "nonsense"}).status_code == 200
