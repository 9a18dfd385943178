"""Home, the overview of a project, navigation, language and error pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.annotation import claims
from curation.models import Membership, Project, Query, Release

Wait = Callable[..., Query]


def test_anonymous_visitors_are_redirected_to_the_login_page(client: Client, project: Project) -> None:
    for path in ("/", "/p/zoo/", "/p/zoo/ask/", "/p/zoo/releases/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/?next=")


def test_a_stranger_sees_no_project_and_reads_what_to_do(client: Client, carol: User, project: Project) -> None:
    client.force_login(carol)
    page = client.get("/")
    assert page.status_code == 200
    assert "Ask a manager to add you" in page.text
    assert project.name not in page.text
    assert client.get("/p/zoo/").status_code == 404


def test_home_counts_open_queries_and_links_to_the_judge_page(client: Client, alice: User, wait: Wait) -> None:
    wait("Who sleeps?")
    wait("Who swims?")
    client.force_login(alice)
    page = client.get("/").text
    assert "2 queries to judge" in page
    assert "/p/zoo/judge/" in page


def test_home_links_to_the_assignment_in_progress(client: Client, alice: User, wait: Wait, project: Project) -> None:
    query = wait("Who sleeps?")
    assignment = claims.claim_next(project, alice)
    assert assignment is not None
    client.force_login(alice)
    page = client.get("/").text
    assert query.text in page
    assert f"/p/zoo/assignments/{assignment.pk}/" in page


def test_home_refuses_other_methods(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/").status_code == 405
    assert client.post("/p/zoo/").status_code == 405


def test_a_project_without_a_release_says_how_to_build_one(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert "build_index --project zoo" in client.get("/p/zoo/").text


def test_the_overview_shows_the_data_flow(client: Client, erin: User, release: Release, wait: Wait) -> None:
    wait("Who sleeps?")
    client.force_login(erin)
    page = client.get("/p/zoo/").text
    assert "live release" in page
    assert "/p/zoo/releases/1/" in page


@pytest.mark.parametrize(
    ("role", "tabs"),
    [
        ("annotator", {"Overview", "Judge", "Ask", "Queries"}),
        ("reviewer", {"Overview", "Judge", "Ask", "Queries", "Reviews"}),
        ("engineer", {"Overview", "Judge", "Ask", "Queries", "Reviews", "Training cycles", "Releases"}),
        (
            "manager",
            {"Overview", "Judge", "Ask", "Queries", "Reviews", "Training cycles", "Releases", "Quality", "Settings"},
        ),
    ],
)
def test_each_role_sees_the_tabs_it_may_open(
    client: Client, carol: User, project: Project, role: str, tabs: set[str]
) -> None:
    Membership.objects.create(project=project, user=carol, role=role)
    client.force_login(carol)
    navigation = client.get("/p/zoo/").text.split('<nav class="tabs"')[1].split("</nav>")[0]
    every = {"Overview", "Judge", "Ask", "Queries", "Reviews", "Training cycles", "Releases", "Quality", "Settings"}
    assert {name for name in every if f">{name}</a>" in navigation} == tabs


def test_every_page_has_the_strict_policy_and_no_inline_script_or_style(client: Client, mona: User) -> None:
    client.force_login(mona)
    for path in ("/", "/p/zoo/", "/p/zoo/queries/", "/p/zoo/cycles/", "/p/zoo/releases/", "/p/zoo/settings/"):
        page = client.get(path)
        policy = page["Content-Security-Policy"]
        assert "script-src 'self';" in policy + ";"
        assert "unsafe" not in policy
        for inline in (" style=", "<style", " onclick=", " onload=", "javascript:", "<script>"):
            assert inline not in page.text, (path, inline)


def test_the_language_switch_translates_the_page(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.post("/language/", {"language": "zh-hans", "next": "/"}, follow=True)
    assert '<html lang="zh-Hans">' in answer.text
    assert "退出登录" in answer.text


def test_an_unknown_url_has_a_404_page(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "Page not found" in answer.text


def test_the_500_page_needs_no_context() -> None:
    from django.template.loader import get_template

    assert "Something went wrong" in get_template("500.html").render()
