"""The audit log of a project, as its managers read it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from curation.annotation import claims, judgements
from curation.core import audit_log
from curation.core import views as core_views
from curation.core.forms import FORMS_BY_VERB
from curation.models import Project, Query
from curation.projects import members, overlap, project_settings


@pytest.fixture
def manager(client: Client, mona: User) -> Client:
    client.force_login(mona)
    return client


def test_it_says_who_did_what_and_what_was_before(
    manager: Client, project: Project, mona: User, carol: User, wait: Callable[..., Query]
) -> None:
    project_settings.change(project, {"overlap": 3, "description": "Long. " * 30}, actor=mona)
    members.change(members.add(project, carol, "annotator", actor=mona), "reviewer", 5, False, actor=mona)
    overlap.set_for_query(wait(), 2, actor=mona)
    project_settings.write_guidelines(project, "Grade kindly.", actor=mona)
    html = manager.get("/p/zoo/audit-log/").content.decode()
    assert "Annotators per query: 1 → 3" in html and "Long." not in html
    assert "carol, annotator → reviewer, 0 → 5" in html
    assert "changed the number of annotators of a query: – → 2" in html and "wrote version 1 of the guidelines" in html


def test_it_never_tells_a_grade(manager: Client, project: Project, alice: User, wait: Callable[..., Query]) -> None:
    work = claims.claim(wait(), alice)
    judgements.record(work, work.order[0], 3)
    html = manager.get("/p/zoo/audit-log/").content.decode()
    assert "alice graded a passage · " in html and "graded a passage: " not in html


def test_grades_in_a_row_are_one_line_and_what_nobody_did_is_a_sentence(
    manager: Client, project: Project, alice: User, wait: Callable[..., Query]
) -> None:
    work = claims.claim(wait(), alice)
    for passage_id in work.order:
        judgements.record(work, passage_id, 1)
    judgements.submit(work)
    html = manager.get("/p/zoo/audit-log/").content.decode()
    assert html.count("alice graded a passage") == 1 and "× 3" in html
    assert "Resolved by consensus" in html
    assert "× 3" in manager.get(f"/p/zoo/queries/{work.query_id}/").text


@pytest.mark.parametrize(
    ("verb", "old_key", "key"),
    [
        ("settings_changed", "passes_on", "propagates_grades"),
        ("settings_changed", "judges_edits", "re_annotates_edits"),
        ("policy_changed", "least_judged", "min_judged"),
        ("guard_changed", "guard_margin", "guardrail_margin"),
    ],
)
def test_an_event_with_the_old_key_of_a_field_has_the_label_of_today(
    manager: Client, project: Project, mona: User, verb: str, old_key: str, key: str
) -> None:
    data = {"was": {old_key: 0.5}, "now": {old_key: 0.8}} | ({"guard": "greetings"} if verb == "guard_changed" else {})
    audit_log.record(verb, project=project, actor=mona, data=data)
    field = FORMS_BY_VERB[verb].base_fields.get(key)
    html = manager.get("/p/zoo/audit-log/").content.decode()
    assert f"{escape(field.label if field else key)}: 0.5 → 0.8" in html and old_key not in html


def test_it_is_read_page_by_page_and_looked_through_by_person_and_act(
    manager: Client, project: Project, mona: User, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_views, "PER_PAGE", 2)
    for number in range(3):
        audit_log.record(
            "settings_changed", project=project, actor=mona, data={"was": {"overlap": number}, "now": {"overlap": 9}}
        )
    audit_log.record("asked", project=project, actor=alice)
    first = manager.get("/p/zoo/audit-log/")
    assert "alice asked" in first.text and "2 → 9" in first.text and "1 → 9" not in first.text
    second = manager.get("/p/zoo/audit-log/", {"before": first.context["older"]})
    assert "1 → 9" in second.text and "0 → 9" in second.text and second.context["older"] is None
    assert "alice asked" not in manager.get("/p/zoo/audit-log/", {"verb": "settings_changed"}).text
    assert "2 → 9" not in manager.get("/p/zoo/audit-log/", {"person": alice.pk}).text
    assert "No entries" in manager.get("/p/zoo/audit-log/", {"verb": "settled"}).text
    assert manager.get("/p/zoo/audit-log/", {"verb": "nonsense"}).status_code == 200
