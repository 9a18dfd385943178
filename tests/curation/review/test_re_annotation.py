"""The new text of an edited passage is judged anew by itself, where the project asks for it, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from curation.annotation import assignments, judgements
from curation.core import labels
from curation.models import Assignment, Event, Judgement, Project, Query, Review, SettledGrade
from curation.queries import intake
from curation.review import consensus, staleness
from retrieval.documents import ingest
from retrieval.models import Passage
from tests.conftest import ZOO

Wait = Callable[..., Query]
State = Assignment.State


@pytest.fixture(autouse=True)
def _asked_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.re_annotates_edits = True
    project.save()
    monkeypatch.setattr(intake, "EVALUATION_SHARE", 0.0)


def _edit(project: Project, **texts: str) -> dict[str, Passage]:
    """Import these documents with new texts, as the command does; the passages that are active then."""
    began = timezone.now()
    sources = [ingest.Source(name, name.title(), text, {}) for name, text in (ZOO | texts).items()]
    ingest.ingest(project.corpus, sources, whole=True)
    with transaction.atomic():
        staleness.note(project.corpus, began)
    return {passage.external_id: passage for passage in project.corpus.passages.active()}


def _grade_all(claimed: Assignment, grade: int) -> None:
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, grade)
    judgements.submit(claimed)


def _settle(query: Query, *people: User) -> None:
    for person in people:
        _grade_all(assignments.claim(query, person), 2)
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED


def _settled_grades(query: Query) -> dict[tuple[str, bool], float]:
    """(passage, whether it is the text of today) → grade."""
    rows = SettledGrade.objects.filter(review__query=query, review__state="settled").select_related("passage")
    return {(row.passage.external_id, row.passage.retired_at is None): row.grade for row in rows}


def test_a_settled_query_asks_for_the_new_text_alone_and_stays_settled(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait(shown="lion otter")
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED
    turn = assignments.claim_next(project, alice)  # who judged the old text may judge the new one
    assert turn is not None and turn.is_re_annotation and turn.query == query
    assert [Passage.objects.get(pk=pk).text for pk in turn.order] == ["The lion never sleeps."]
    assert assignments.claim_next(project, bob) is None
    _grade_all(turn, 0)
    assert _settled_grades(query) == {("lion", False): 2, ("lion", True): 0, ("otter", True): 2}
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and query.reviews.count() == 1
    assert Judgement.objects.standing().filter(query=query, passage__text=ZOO["lion"]).get().grade == 2  # readable
    assert set(Event.objects.values_list("verb", flat=True)) >= {"expired", "asked_anew", "settled_anew"}


def test_a_top_up_says_why_and_has_as_many_slots_as_people_judge(
    project: Project, alice: User, bob: User, erin: User, wait: Wait
) -> None:
    query = wait(shown="lion", overlap=2)
    _settle(query, alice, bob)
    _edit(project, lion="The lion never sleeps.")
    slots = query.assignments.open()
    assert sorted(slots.values_list("slot", flat=True)) == [3, 4]
    assert {labels.why(row) for row in slots} == {"The text of 1 passage was edited after it was judged."}
    first = assignments.claim_next(project, alice)
    assert first is not None
    assert assignments.claim_next(project, alice, beside=first.pk) is None  # one text, one turn a person
    _grade_all(first, 3)
    assert ("lion", True) not in _settled_grades(query)  # the second is not in yet
    second = assignments.claim_next(project, erin)
    assert second is not None
    _grade_all(second, 2)
    assert _settled_grades(query)["lion", True] == 2.5


def test_top_ups_that_lie_far_apart_go_to_a_reviewer(project: Project, alice: User, bob: User, wait: Wait) -> None:
    query = wait(shown="lion otter", overlap=2)
    _settle(query, alice, bob)
    _edit(project, lion="The lion never sleeps.")
    for person, grade in ((alice, 0), (bob, 3)):
        turn = assignments.claim_next(project, person)
        assert turn is not None
        _grade_all(turn, grade)
    query.refresh_from_db()
    assert query.state == Query.State.IN_REVIEW
    review = Review.objects.waiting().get()
    assert labels.why(review) == "Grades of one passage lie 3 apart."
    consensus.settle(review, bob, {pk: 1.0 for pk in turn.order}, review.answer)
    assert _settled_grades(query)["lion", True] == 1 and _settled_grades(query)["otter", True] == 2


def test_a_lapsed_and_a_handed_back_top_up_ask_for_the_same_text(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait(shown="lion otter")
    _settle(query, alice)
    now = _edit(project, lion="The lion never sleeps.")
    turn = assignments.claim_next(project, alice)
    assert turn is not None
    assignments.skip(turn)
    other = assignments.claim_next(project, bob)
    assert other is not None and other.is_re_annotation and other.order == [now["lion"].pk] and other.slot == turn.slot
    with pytest.raises(assignments.Taken):
        judgements.undo_submit(turn)
    Assignment.objects.filter(pk=other.pk).update(lease_until=timezone.now())
    assignments.expire()
    _grade_all(other, 1)  # late, but its slot is free
    other.refresh_from_db()
    assert not other.is_extra and _settled_grades(query)["lion", True] == 1


def test_a_submitted_top_up_is_taken_back_alone(project: Project, alice: User, wait: Wait) -> None:
    query = wait(shown="lion otter")
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    turn = assignments.claim_next(project, alice)
    assert turn is not None
    _grade_all(turn, 3)
    judgements.undo_submit(turn)
    assert _settled_grades(query) == {("lion", False): 2, ("otter", True): 2}
    judgements.submit(turn)
    assert _settled_grades(query)["lion", True] == 3


def test_a_query_in_the_queue_shows_the_new_text_and_one_edited_again_the_newest(
    project: Project, alice: User, wait: Wait
) -> None:
    settled, waiting = wait(shown="lion"), wait("Who hunts?", shown="tiger lion")
    _settle(settled, alice)
    _edit(project, lion="The lion never sleeps.")
    newest = _edit(project, lion="The lion dreams.")
    turn, other = (Assignment.objects.open().get(query=query) for query in (settled, waiting))
    assert turn.order == [newest["lion"].pk]
    shown = list(other.ranking.shown.values_list("rank", "passage"))
    assert shown == [(1, newest["tiger"].pk), (2, newest["lion"].pk)]
    assert Assignment.objects.open().count() == 2


def test_who_judged_the_old_text_while_it_was_edited_has_not_judged_the_new_one(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait(shown="lion otter")
    held = assignments.claim(query, alice)
    _edit(project, lion="The lion never sleeps.")
    assert not Assignment.objects.open().exists()
    _grade_all(held, 2)
    turn = assignments.claim_next(project, bob)
    assert turn is not None and turn.is_re_annotation and len(turn.order) == 1
    newest = _edit(project, lion="The lion dreams.")  # and again, with the top-up in hand
    _grade_all(turn, 1)
    again = assignments.claim_next(project, alice)
    assert again is not None and again.order == [newest["lion"].pk]
    _grade_all(again, 0)
    assert _settled_grades(query)["lion", True] == 0
    assert not Assignment.objects.open().exists()


def test_a_project_that_does_not_ask_for_it_and_a_passage_that_went_away_open_nothing(
    project: Project, alice: User, wait: Wait
) -> None:
    query = wait(shown="lion")
    _settle(query, alice)
    began = timezone.now()
    ingest.remove(project.corpus, ["lion"])
    staleness.note(project.corpus, began)
    assert not query.assignments.open().exists()
    Project.objects.update(re_annotates_edits=False)
    again = wait("Who hunts?", shown="tiger")
    _settle(again, alice)
    _edit(project, tiger="The tiger rests.")
    assert not Assignment.objects.open().exists()


def test_the_evaluation_sample_is_asked_anew_but_not_steered(project: Project, alice: User, wait: Wait) -> None:
    query = wait(shown="lion", is_evaluation=True)
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    slot = query.assignments.open().get()
    assert slot.priority == 0
    turn = assignments.claim_next(project, alice)
    assert turn is not None and turn.selection == Assignment.Selection.RANDOM
    assert labels.why(turn) == "The text of 1 passage was edited after it was judged."


def test_the_page_of_a_top_up_shows_one_passage_and_says_so(
    client: Client, project: Project, alice: User, wait: Wait
) -> None:
    query = wait(shown="lion otter snail")
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    client.force_login(alice)
    page = client.get(client.get("/p/zoo/judge/").url)
    assert len(page.context["work"].cards) == 1
    text = page.content.decode()
    assert "Only what was edited since it was judged is here." in text and ZOO["otter"] not in text


def test_the_database_lets_nobody_have_one_text_twice(project: Project, alice: User, wait: Wait) -> None:
    query = wait(shown="lion", overlap=1)
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    turn = assignments.claim_next(project, alice)
    assert turn is not None
    turn.pk, turn.slot = None, 9
    with pytest.raises(IntegrityError), transaction.atomic():
        turn.save(force_insert=True)
