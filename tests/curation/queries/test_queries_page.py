"""The pages of the queries room: ask, list, one query."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from curation.annotation import claims, judgements
from curation.models import Draft, Project, Query, Ranking, Release
from curation.queries import intake

Wait = Callable[..., Query]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def asked_query(project: Project, release: Release, alice: User) -> Query:
    return intake.ask(project, "Who sleeps on water?", user=alice)


def test_a_stranger_may_neither_ask_nor_read(client: Client, carol: User, asked_query: Query) -> None:
    client.force_login(carol)
    for path in ("ask/", "queries/", f"queries/{asked_query.pk}/"):
        assert client.get(f"/p/zoo/{path}").status_code == 404
    assert client.post("/p/zoo/ask/", {"text": "Who?"}).status_code == 404
    assert Query.objects.count() == 1


def test_a_wrong_method_is_refused(client: Client, alice: User, asked_query: Query) -> None:
    client.force_login(alice)
    assert client.delete("/p/zoo/ask/").status_code == 405
    assert client.post("/p/zoo/queries/").status_code == 405
    assert client.post(f"/p/zoo/queries/{asked_query.pk}/").status_code == 405


def test_a_question_is_searched_frozen_and_shown(client: Client, alice: User, release: Release) -> None:
    client.force_login(alice)
    answer = client.post("/p/zoo/ask/", {"text": "Who sleeps on water?"}, follow=True)
    query = Query.objects.get()
    assert answer.redirect_chain == [(f"/p/zoo/queries/{query.pk}/", 302)]
    assert query.asked_by == alice
    assert "An otter holds hands while it sleeps on water." in answer.text
    assert "Release 1 is writing an answer" in answer.text


@pytest.mark.parametrize(("text", "complaint"), [("  ", "Type a question first."), ("x" * 2001, "at most 2000")])
def test_an_empty_or_endless_question_comes_back_with_its_error(
    client: Client, alice: User, release: Release, text: str, complaint: str
) -> None:
    client.force_login(alice)
    answer = client.post("/p/zoo/ask/", {"text": text})
    assert answer.status_code == 422
    assert complaint in answer.text
    assert not Query.objects.exists()


def test_asking_before_the_first_release_says_what_is_missing(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert "build_index --project zoo" in client.get("/p/zoo/ask/").text
    answer = client.post("/p/zoo/ask/", {"text": "Who?"})
    assert answer.status_code == 422
    assert not Query.objects.exists()


def test_the_ask_button_is_shown_where_a_release_is_live(client: Client, alice: User, asked_query: Query) -> None:
    button = 'class="button button-main" href="/p/zoo/ask/"'
    client.force_login(alice)
    assert button in client.get("/p/zoo/queries/").text
    assert "Ask another question" in client.get(f"/p/zoo/queries/{asked_query.pk}/").text
    Release.objects.update(state=Release.State.DECLINED)
    for path in ("/", "/p/zoo/", "/p/zoo/queries/"):
        page = client.get(path).text
        assert 'href="/p/zoo/#index"' in page and button not in page
    assert "Ask another question" not in client.get(f"/p/zoo/queries/{asked_query.pk}/").text


def test_the_answer_region_polls_until_the_draft_is_there(
    client: Client, alice: User, asked_query: Query, release: Release
) -> None:
    client.force_login(alice)
    region = client.get(f"/p/zoo/queries/{asked_query.pk}/", headers=HTMX).text
    assert region.lstrip().startswith('<div id="answer"')
    assert 'hx-trigger="every 1s"' in region
    Draft.objects.create(ranking=asked_query.rankings.get(), text="The otter.", generator=release.generator, seconds=1)
    region = client.get(f"/p/zoo/queries/{asked_query.pk}/", headers=HTMX).text
    assert "The otter." in region
    assert "Drafted by release 1" in region
    assert "hx-trigger" not in region


def test_a_late_draft_says_so_and_polls_less_often(client: Client, alice: User, asked_query: Query) -> None:
    Ranking.objects.update(created_at=timezone.now() - timezone.timedelta(minutes=5))
    client.force_login(alice)
    region = client.get(f"/p/zoo/queries/{asked_query.pk}/", headers=HTMX).text
    assert "longer than usual" in region
    assert 'hx-trigger="every 10s"' in region


def test_no_draft_is_awaited_for_a_settled_query(client: Client, alice: User, asked_query: Query) -> None:
    Query.objects.update(state=Query.State.SETTLED)
    client.force_login(alice)
    region = client.get(f"/p/zoo/queries/{asked_query.pk}/", headers=HTMX).text
    assert "This ranking has no draft answer." in region and "hx-trigger" not in region


def test_without_javascript_the_page_reloads_itself_while_it_waits(
    client: Client, alice: User, asked_query: Query
) -> None:
    client.force_login(alice)
    refresh = '<noscript><meta http-equiv="refresh"'
    assert refresh in client.get(f"/p/zoo/queries/{asked_query.pk}/").text
    Draft.objects.create(ranking=asked_query.rankings.get(), text="The otter.")
    assert refresh not in client.get(f"/p/zoo/queries/{asked_query.pk}/").text


def test_a_query_of_another_project_is_not_found_here(client: Client, mona: User, asked_query: Query) -> None:
    other = Project.objects.create(slug="other", name="Other", corpus=asked_query.project.corpus)
    foreign = other.queries.create(external_id="f", text="Foreign?")
    client.force_login(mona)
    assert client.get(f"/p/zoo/queries/{foreign.pk}/").status_code == 404


def test_the_list_finds_by_words_and_state(client: Client, alice: User, wait: Wait) -> None:
    wait("Who sleeps?")
    wait("Who swims?", state=Query.State.SETTLED)
    client.force_login(alice)
    assert "Who sleeps?" in client.get("/p/zoo/queries/?q=SLEEP").text
    assert "Who swims?" not in client.get("/p/zoo/queries/?q=sleep").text
    settled = client.get("/p/zoo/queries/?state=settled").text
    assert "Who swims?" in settled
    assert "Who sleeps?" not in settled
    assert "Who sleeps?" in client.get("/p/zoo/queries/?state=nonsense&page=99").text


def test_htmx_gets_the_list_alone(client: Client, alice: User, wait: Wait) -> None:
    wait("Who sleeps?")
    client.force_login(alice)
    region = client.get("/p/zoo/queries/?q=sleep", headers=HTMX)
    assert region.text.lstrip().startswith('<div id="list"')
    assert "HX-Request" in region["Vary"]
    assert "No queries found" in client.get("/p/zoo/queries/?q=yeti", headers=HTMX).text


def test_an_empty_list_says_what_to_do_next(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert "import_queries" in client.get("/p/zoo/queries/").text


def test_nobody_elses_grades_are_shown_before_ones_own_are_in(
    client: Client, alice: User, bob: User, erin: User, project: Project, wait: Wait
) -> None:
    project.overlap = 2
    project.save()
    query = wait("Who sleeps?", shown="lion otter")
    for person in (alice, bob):
        held = claims.claim_next(project, person)
        assert held is not None
        if person == alice:
            for shown in held.ranking.shown.all():
                judgements.record(held, shown.passage_id, 3)
            judgements.submit(held)
    path = f"/p/zoo/queries/{query.pk}/"
    client.force_login(bob)
    assert "Answers" not in client.get(path).text
    client.force_login(alice)
    assert "Answers" in client.get(path).text
    client.force_login(erin)
    page = client.get(path).text
    assert "Answers" in page
    assert "alice" in page
