"""Changes of policy, guardrail sets and licence, with their events in the audit log."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from curation.models import Event, Project
from retrieval.models import Corpus
from tests.tuning.evaluation.test_guardrails import write_set
from tuning.cycles import policies
from tuning.evaluation import guardrails
from tuning.models import Policy

AUDIT_LOG = "/p/zoo/audit-log/"


@pytest.fixture
def manager(client: Client, mona: User) -> Client:
    client.force_login(mona)
    return client


def test_a_change_of_the_policy_is_in_the_audit_log_with_both_values(
    manager: Client, project: Project, mona: User
) -> None:
    row = policies.change_policy(project, {"gate": "never", "is_active": True, "reranker": True}, actor=mona)
    assert (row.pk, row.gate, row.settings) == (Policy.objects.get().pk, "never", {"reranker": {"enabled": True}})
    page = manager.get(AUDIT_LOG).text
    assert "mona changed the schedule and the gate: " in page
    for detail in (
        "After evaluation: promote if the gate passes → measure only",
        "Run automatically: no → yes",
        "Train a reranker after the retriever: no → yes",
    ):
        assert detail in page, page[page.index("mona changed") :][:400]
    with translation.override("zh-hans"):
        assert (
            "自动启动：否 → 是" in page
            or "否 → 是" in manager.get(AUDIT_LOG, headers={"Accept-Language": "zh-hans"}).text
        )


def test_a_policy_without_a_change_adds_no_event(project: Project, mona: User) -> None:
    policies.change_policy(project, {"gate": "auto", "reranker": False}, actor=mona)
    assert Policy.objects.get().settings == {}
    policies.change_policy(project, {"guardrail_margin": 0.02}, actor=mona)
    policies.change_policy(project, {"guardrail_margin": 0.02}, actor=mona)
    (event,) = Event.objects.filter(verb="policy_changed")
    assert event.data == {"was": {"guardrail_margin": 0.01}, "now": {"guardrail_margin": 0.02}}


def test_the_other_settings_of_a_reranker_stay(project: Project, mona: User) -> None:
    Policy.objects.create(project=project, settings={"reranker": {"epochs": 3}, "budget_seconds": 9})
    policies.change_policy(project, {"reranker": True}, actor=mona)
    assert Policy.objects.get().settings == {"reranker": {"epochs": 3, "enabled": True}, "budget_seconds": 9}


def test_added_and_changed_guardrail_sets_are_in_the_audit_log(
    manager: Client, project: Project, mona: User, tmp_path: Path
) -> None:
    added = guardrails.create_from_folder(project, write_set(tmp_path), "zoo-at-home", actor=mona)
    guardrails.create_from_folder(project, tmp_path, "by-hand")
    guardrails.change_set(added, {"is_active": True, "margin": 0.1}, actor=mona)
    manager.post(f"/p/zoo/guardrails/{added.pk}/", {"margin": "0.1"})
    page = manager.get(AUDIT_LOG).text
    assert "mona added a guardrail set: zoo-at-home" in page and "A guardrail set was added: by-hand" in page
    assert "mona changed a guardrail set: zoo-at-home, Margin: 0.03 → 0.1" in page
    assert "mona changed a guardrail set: zoo-at-home, Used in every evaluation: yes → no" in page


def test_a_change_of_the_licence_is_an_event_of_every_project_with_the_corpus(
    manager: Client, project: Project, corpus: Corpus, mona: User
) -> None:
    other = Project.objects.create(slug="park", name="Park", corpus=corpus)
    Project.objects.create(slug="sea", name="Sea", corpus=Corpus.objects.create(slug="sea", name="Sea"))
    for _again in range(2):
        manager.post("/p/zoo/datasets/licence/", {"licence": "CC-BY-4.0"})
    assert Corpus.objects.get(pk=corpus.pk).licence == "CC-BY-4.0"
    lines = Event.objects.filter(verb="licence_changed", actor=mona)
    assert set(lines.values_list("project", flat=True)) == {project.pk, other.pk} and len(lines) == 2
    assert "mona changed the licence of the corpus: Licence: – → CC-BY-4.0" in manager.get(AUDIT_LOG).text


def test_the_admin_logs_policy_changes_and_leaves_the_licence_to_the_projects(
    admin_client: Client, project: Project, corpus: Corpus
) -> None:
    form = admin_client.get("/admin/tuning/policy/add/").context["adminform"].form
    sent = {name: form[name].value() for name in form.fields} | {"project": project.pk}
    sent = {name: value for name, value in sent.items() if value is not None and value is not False}
    answer = admin_client.post("/admin/tuning/policy/add/", sent | {"min_new_queries": 7, "settings": "{}"})
    assert answer.status_code == 302, answer.context["errors"]
    row = Policy.objects.get()
    path = f"/admin/tuning/policy/{row.pk}/change/"
    assert admin_client.post(path, sent | {"min_new_queries": 9, "settings": "{}"}).status_code == 302
    changes = [event.data["now"] for event in Event.objects.filter(verb="policy_changed").order_by("pk")]
    assert changes == [{"min_new_queries": 7}, {"min_new_queries": 9}]
    assert 'name="licence"' not in admin_client.get(f"/admin/retrieval/corpus/{corpus.pk}/change/").text
    assert 'name="licence"' in admin_client.get("/admin/retrieval/corpus/add/").text
