"""The judge page and its acts: who may open them, what they return, and that plain forms can do everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from curation.annotation import claims, judgements
from curation.annotation.keyboard_shortcuts import DEFAULT_KEYS
from curation.models import Answer, Assignment, Draft, Event, Guidelines, Judgement, Preferences, Project, Query
from retrieval.models import Passage

Wait = Callable[..., Query]
ACTS = ["grades", "write_answer", "preview", "unanswerable", "flag", "skip", "add_passage", "submit", "undo_submit"]
ACTS += ["renew"]


@pytest.fixture
def mine(project: Project, alice: User, wait: Wait) -> Assignment:
    query = wait()
    Draft.objects.create(ranking=query.rankings.get(), text="The lion sleeps.")
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    return claimed


@pytest.fixture
def signed_in(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def address(name: str, assignment: Assignment) -> str:
    return reverse(f"curation:{name}", args=[assignment.project.slug, assignment.pk])


def press(client: Client, name: str, assignment: Assignment, key: str = "", **body: Any) -> HttpResponse:
    """One key press as the page sends it."""
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(address(name, assignment), json.dumps(body), content_type="application/json", headers=headers)


def test_the_next_one_is_claimed_and_shown(signed_in: Client, project: Project, wait: Wait, alice: User) -> None:
    wait("Who sleeps at night?")
    response = signed_in.get(reverse("curation:judge", args=[project.slug]), follow=True)
    held = Assignment.objects.get(curator=alice)
    assert response.redirect_chain == [(address("assignment", held), 302)]
    html = response.content.decode()
    assert "Who sleeps at night?" in html and html.count('data-passage="') == 3


def test_each_act_takes_few_statements(signed_in: Client, mine: Assignment, project: Project, wait: Wait) -> None:
    """With sign-in and permission. `bench judging` measures them with a million assignments."""
    wait("Who swims?")
    claim, page = reverse("curation:claim", args=[project.slug]), address("assignment", mine)
    body = {"passage": mine.order[0], "grade": "2"}
    acts: list[tuple[Callable[[], object], int]] = [
        (lambda: signed_in.post(claim, {"beside": mine.pk}), 14),  # a savepoint and its release are two
        (lambda: signed_in.get(page, headers={"HX-Request": "true"}), 9),
        (lambda: press(signed_in, "grades", mine, key="k1", **body), 10),
    ]
    for act, limit in acts:
        with CaptureQueriesContext(connection) as captured:
            act()
        assert len(captured) <= limit, [one["sql"][:80] for one in captured]


def test_the_page_says_no_changes_to_the_draft_only_where_there_is_one(signed_in: Client, mine: Assignment) -> None:
    page = address("assignment", mine)
    assert "No changes to the draft." in signed_in.get(page).content.decode()
    Draft.objects.all().delete()
    html = signed_in.get(page).content.decode()
    assert "No changes to the draft." not in html and "There is no draft to compare with." in html


def test_the_page_says_so_when_there_is_nothing_to_judge(signed_in: Client, project: Project) -> None:
    response = signed_in.get(reverse("curation:judge", args=[project.slug]))
    assert response.status_code == 200 and "No query to judge" in response.content.decode()


def test_a_paused_person_reads_the_reason(signed_in: Client, project: Project, wait: Wait, alice: User) -> None:
    wait()
    project.memberships.filter(user=alice).update(is_paused=True)
    assert "paused" in signed_in.get(reverse("curation:judge", args=[project.slug])).content.decode()


def test_the_page_shows_no_scores_ranks_or_other_people(
    signed_in: Client, mine: Assignment, bob: User, project: Project
) -> None:
    Query.objects.update(overlap=2)
    ranking = mine.ranking
    assert ranking is not None
    ranking.shown.update(score=0.987654)
    html = signed_in.get(address("assignment", mine)).content.decode()
    assert "0.98" not in html and "ranked" not in html and "bob" not in html
    shown = [int(part.split('"')[0]) for part in html.split('data-passage="')[1:]]
    assert shown == mine.order


def test_others_grades_are_shown_only_after_ones_own_submit(
    signed_in: Client, project: Project, wait: Wait, alice: User, bob: User
) -> None:
    query = wait(overlap=2)
    for person in (bob, alice):
        assignment = claims.claim(query, person)
        for passage_id in assignment.order:
            judgements.record(assignment, passage_id, 3 if person == bob else 0)
        if person == alice:
            assert "other grades:" not in signed_in.get(address("assignment", assignment)).content.decode()
        judgements.submit(assignment)
    html = signed_in.get(address("assignment", assignment)).content.decode()
    assert html.count("other grades: 3") == 3 and "search rank 1" in html and "bob" not in html


def test_a_project_can_keep_others_grades_hidden(signed_in: Client, mine: Assignment, project: Project) -> None:
    Project.objects.update(visibility=Project.Visibility.NEVER)
    for passage_id in mine.order:
        judgements.record(mine, passage_id, 1)
    judgements.submit(mine)
    assert "search rank" not in signed_in.get(address("assignment", mine)).content.decode()


@pytest.mark.parametrize("name", ["assignment", "find_passages", *ACTS])
def test_a_stranger_gets_404(client: Client, carol: User, mine: Assignment, name: str) -> None:
    client.force_login(carol)
    send = client.post if name in ACTS else client.get
    assert send(address(name, mine)).status_code == 404


@pytest.mark.parametrize("name", ["assignment", "find_passages", *ACTS])
def test_a_colleagues_assignment_gets_404(client: Client, mona: User, mine: Assignment, name: str) -> None:
    client.force_login(mona)
    send = client.post if name in ACTS else client.get
    assert send(address(name, mine)).status_code == 404


@pytest.mark.parametrize("name", ACTS)
def test_an_act_needs_a_post(signed_in: Client, mine: Assignment, name: str) -> None:
    assert signed_in.get(address(name, mine)).status_code == 405


@pytest.mark.parametrize("name", ["assignment", "find_passages"])
def test_a_page_takes_no_post(signed_in: Client, mine: Assignment, name: str) -> None:
    assert signed_in.post(address(name, mine)).status_code == 405


def test_an_anonymous_visitor_is_sent_to_sign_in(client: Client, mine: Assignment) -> None:
    response = press(client, "grades", mine, passage=mine.order[0], grade="2")
    assert response.status_code == 302 and "/sign-in/" in response["Location"]


def test_an_act_needs_the_csrf_token(mine: Assignment, alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert press(strict, "grades", mine, passage=mine.order[0], grade="2").status_code == 403
    assert not Judgement.objects.exists()


def test_a_key_press_grades_once_however_often_it_is_sent(signed_in: Client, mine: Assignment) -> None:
    first = mine.order[0]
    for _again in range(3):
        body = {"passage": first, "grade": "2", "position": 1, "seconds": 3.5, "evidence": [[0, 4]]}
        response = press(signed_in, "grades", mine, key="k1", **body)
        assert response.json() == {"passage": first, "grade": "2"}
    judgement = Judgement.objects.get()
    assert (judgement.grade, judgement.shown_position, judgement.evidence) == (2, 1, [[0, 4]])
    assert judgement.active_seconds == 3.5
    assert Event.objects.filter(verb="graded").count() == 1


def test_x_means_cant_tell_and_an_empty_grade_clears_it(signed_in: Client, mine: Assignment) -> None:
    first = mine.order[0]
    press(signed_in, "grades", mine, passage=first, grade="x")
    assert Judgement.objects.not_withdrawn().get().grade is None
    press(signed_in, "grades", mine, passage=first, grade="")
    assert not Judgement.objects.not_withdrawn().exists()


@pytest.mark.parametrize(
    "body",
    [
        {"passage": "one", "grade": "2"},
        {"grade": "2"},
        {"passage": 1, "grade": "4"},
        {"passage": 1, "grade": "2", "seconds": -1},
        {"passage": 1, "grade": "2", "evidence": [[4, 2]]},
        {"passage": 1, "grade": "2", "evidence": "words"},
        {"passage": 1, "grade": "2", "evidence": [[True, 2]]},
    ],
)
def test_invalid_fields_are_refused_with_a_sentence(signed_in: Client, mine: Assignment, body: dict[str, Any]) -> None:
    response = press(signed_in, "grades", mine, **body)
    assert response.status_code == 422 and response.json()["error"]
    assert not Judgement.objects.exists()


@pytest.mark.parametrize("body", ["{", "[]", "\x00", '"text"'])
def test_broken_json_is_refused(signed_in: Client, mine: Assignment, body: str) -> None:
    response = signed_in.post(address("grades", mine), body, content_type="application/json")
    assert response.status_code == 422 and response.json()["error"]


def test_an_error_of_an_act_becomes_409_with_its_text(signed_in: Client, mine: Assignment) -> None:
    response = press(signed_in, "submit", mine)
    assert response.status_code == 409
    assert response.json() == {"error": "Grade the 3 remaining passages to submit."}


def test_the_answer_is_saved_with_its_citations(signed_in: Client, mine: Assignment) -> None:
    citations = [{"sentence": "It sleeps.", "passage": mine.order[0], "evidence": [0, 4]}]
    press(signed_in, "write_answer", mine, text=" It sleeps.\n", citations=citations, unsupported=[[1, 3]])
    answer = Answer.objects.get()
    assert (answer.text, answer.citations, answer.unsupported) == (" It sleeps.\n", citations, [[1, 3]])


@pytest.mark.parametrize("citations", [[1], [{"sentence": "It."}], [{"sentence": "It.", "passage": 1, "more": 2}]])
def test_a_citation_of_another_shape_is_refused(signed_in: Client, mine: Assignment, citations: object) -> None:
    assert press(signed_in, "write_answer", mine, text="It.", citations=citations).status_code == 422


def test_the_preview_is_safe_html(signed_in: Client, mine: Assignment) -> None:
    text = "**bold** <script>alert(1)</script> [x](javascript:alert(1))"
    html = press(signed_in, "preview", mine, text=text).json()["html"]
    assert "<strong>bold</strong>" in html and "<script" not in html and 'href="javascript' not in html


def test_claiming_ahead_returns_the_same_assignment_again(
    signed_in: Client, mine: Assignment, project: Project, wait: Wait
) -> None:
    wait("Who swims?")
    claim = reverse("curation:claim", args=[project.slug])
    body = json.dumps({"beside": mine.pk})
    first = signed_in.post(claim, body, content_type="application/json").json()
    assert first["url"] == f"/p/{project.slug}/assignments/{first['assignment']}/"
    assert signed_in.post(claim, body, content_type="application/json").json() == first
    fragment = signed_in.get(first["url"], headers={"HX-Request": "true"}).content.decode()
    assert fragment.lstrip().startswith("<article") and "Who swims?" in fragment and "<html" not in fragment


def test_nothing_is_claimed_ahead_when_nothing_is_left(signed_in: Client, mine: Assignment, project: Project) -> None:
    body = json.dumps({"beside": mine.pk})
    response = signed_in.post(reverse("curation:claim", args=[project.slug]), body, content_type="application/json")
    assert (response.status_code, response.json()) == (200, {})


def test_renewing_a_lost_lease_is_a_conflict(signed_in: Client, mine: Assignment) -> None:
    Assignment.objects.filter(pk=mine.pk).update(state=Assignment.State.SKIPPED)
    assert press(signed_in, "renew", mine).status_code == 409


def test_work_sent_back_shows_the_reviewers_comment(signed_in: Client, mine: Assignment) -> None:
    Assignment.objects.filter(pk=mine.pk).update(comment="Look at the second one again.", lease_until=None)
    assert "Look at the second one again." in signed_in.get(address("assignment", mine)).content.decode()


def test_plain_forms_can_do_everything(signed_in: Client, mine: Assignment, project: Project) -> None:
    for position, passage_id in enumerate(mine.order, start=1):
        fields = {"passage": passage_id, "position": position, "grade": "2"}
        response = signed_in.post(address("grades", mine), fields)
        assert response["Location"].endswith(f"/assignments/{mine.pk}/#passage-{passage_id}")
    response = signed_in.post(address("submit", mine), {"text": "Lions sleep.\r\nOtters too."})
    assert response["Location"] == reverse("curation:judge", args=[project.slug])
    mine.refresh_from_db()
    assert mine.state == Assignment.State.SUBMITTED
    assert Answer.objects.get().text == "Lions sleep.\nOtters too."
    html = signed_in.get(address("assignment", mine)).content.decode()
    assert "Undo submit" in html and "Lions sleep." in html
    signed_in.post(address("undo_submit", mine))
    mine.refresh_from_db()
    assert mine.state == Assignment.State.CLAIMED


def test_a_refused_plain_form_shows_the_page_with_the_sent_text(signed_in: Client, mine: Assignment) -> None:
    response = signed_in.post(address("submit", mine), {"text": "My own words."})
    html = response.content.decode()
    assert (
        response.status_code == 409 and "Grade the 3 remaining passages to submit." in html and "My own words." in html
    )
    assert signed_in.post(address("grades", mine), {"grade": "9"}).status_code == 422


def test_a_skip_is_undone_by_a_plain_form(signed_in: Client, mine: Assignment) -> None:
    signed_in.post(address("skip", mine), {"comment": "not my field"})
    empty = signed_in.get("/p/zoo/judge/").content.decode()
    assert f'href="/p/zoo/assignments/{mine.pk}/"' in empty  # there is no other query: the skipped one is linked
    page = signed_in.get(f"/p/zoo/assignments/{mine.pk}/").content.decode()
    assert "Resume" in page and address("undo_submit", mine) in page
    assert signed_in.post(address("undo_submit", mine)).status_code == 302
    mine.refresh_from_db()
    assert mine.state == Assignment.State.CLAIMED and mine.comment == ""


def test_a_plain_skip_redirects_to_the_next(signed_in: Client, mine: Assignment) -> None:
    response = signed_in.post(address("skip", mine), {"comment": "not my field"})
    assert response["Location"].endswith("/judge/")
    mine.refresh_from_db()
    assert (mine.state, mine.comment) == (Assignment.State.SKIPPED, "not my field")


def test_the_flag_and_no_answer_in_corpus_can_be_removed(signed_in: Client, mine: Assignment) -> None:
    press(signed_in, "flag", mine, comment="Odd.")
    press(signed_in, "unanswerable", mine, value=True)
    mine.refresh_from_db()
    assert (mine.is_flagged, mine.comment, mine.is_unanswerable) == (True, "Odd.", True)
    press(signed_in, "flag", mine, comment="", down=True)
    press(signed_in, "unanswerable", mine, value=False)
    mine.refresh_from_db()
    assert (mine.is_flagged, mine.comment, mine.is_unanswerable) == (False, "", False)


def test_a_missing_passage_is_found_added_and_comes_back_as_a_card(
    signed_in: Client, mine: Assignment, passages: dict[str, Passage], release: object
) -> None:
    html = signed_in.get(address("find_passages", mine), {"q": "bamboo"}).content.decode()
    panda = passages["panda"]
    assert f'value="{panda.pk}"' in html
    body = press(signed_in, "add_passage", mine, passage=panda.pk).json()
    assert f'id="passage-{panda.pk}"' in body["html"] and 'data-position="4"' in body["html"]
    mine.refresh_from_db()
    assert mine.order[-1] == panda.pk


def test_the_search_says_when_no_release_is_live(signed_in: Client, mine: Assignment) -> None:
    assert "No release is live yet" in signed_in.get(address("find_passages", mine), {"q": "x"}).content.decode()


def test_the_page_shows_the_guidelines_of_the_claim(
    signed_in: Client, project: Project, wait: Wait, alice: User
) -> None:
    Guidelines.objects.create(project=project, version=7, text="Be **kind**.")
    wait()
    response = signed_in.get(reverse("curation:judge", args=[project.slug]), follow=True)
    html = response.content.decode()
    assert "version 7" in html and "<strong>kind</strong>" in html


def test_the_page_takes_as_many_queries_for_many_passages_as_for_few(
    signed_in: Client, project: Project, wait: Wait, alice: User
) -> None:
    def cost(shown: str) -> int:
        claimed = claims.claim(wait(shown=shown), alice)
        with CaptureQueriesContext(connection) as captured:
            signed_in.get(address("assignment", claimed))
        return len(captured)

    cost("lion")  # caches fill
    assert cost("lion otter") == cost("lion otter snail crow eagle panda zebra")


def test_a_persons_own_keys_are_on_the_page(signed_in: Client, mine: Assignment, alice: User) -> None:
    Preferences.objects.create(user=alice, keys={"undo": "z"}, mark_words=False)
    html = signed_in.get(address("assignment", mine)).content.decode()
    assert "&quot;undo&quot;:&quot;z&quot;" in html and 'class="no-highlights"' in html


def test_preferences_store_only_changed_keys(signed_in: Client, alice: User) -> None:
    page = reverse("preferences")
    assert signed_in.get(page).status_code == 200
    fields = {f"key-{action}": key for action, key in DEFAULT_KEYS.items()} | {"key-undo": "z", "mark_words": "on"}
    assert signed_in.post(page, fields).status_code == 302
    assert Preferences.objects.get(user=alice).keys == {"undo": "z"}
    signed_in.post(reverse("default_keys"))
    assert Preferences.objects.get(user=alice).keys == {}


@pytest.mark.parametrize(
    ("key", "error"), [("j", "already used for"), ("Escape", "One visible character"), ("", "required")]
)
def test_an_invalid_key_shows_its_error(signed_in: Client, key: str, error: str) -> None:
    fields = {f"key-{action}": own for action, own in DEFAULT_KEYS.items()} | {"key-undo": key}
    response = signed_in.post(reverse("preferences"), fields)
    assert response.status_code == 422 and error in response.content.decode()
    assert not Preferences.objects.exists()


def test_work_of_one_person_is_not_saved_for_another(signed_in: Client, mine: Assignment, bob: User) -> None:
    body = json.dumps({"passage": mine.order[0], "grade": "2"})
    headers = {"X-Owner": str(bob.pk)}
    response = signed_in.post(address("grades", mine), body, content_type="application/json", headers=headers)
    assert response.status_code == 401 and not Judgement.objects.exists()
