"""Re-annotation: the new text of an edited passage is judged again, where the project asks for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from curation.annotation import claims, judgements, leases
from curation.core import labels
from curation.models import Assignment, Event, Judgement, Project, Query, Review, SettledGrade
from curation.queries import evaluation_sample
from curation.review import adjudication
from retrieval.documents import ingest, withdrawal
from retrieval.models import Passage
from tests.conftest import ZOO

Wait = Callable[..., Query]
State = Assignment.State


@pytest.fixture(autouse=True)
def _re_annotates_edits(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.re_annotates_edits = True
    project.save()
    monkeypatch.setattr(evaluation_sample, "EVALUATION_SHARE", 0.0)


def _edit(project: Project, **texts: str) -> dict[str, Passage]:
    """Import these documents with new texts, as the command does; the passages that are active then."""
    sources = [ingest.SourceDocument(name, name.title(), text, {}) for name, text in (ZOO | texts).items()]
    ingest.ingest(project.corpus, sources, whole=True)
    return {passage.external_id: passage for passage in project.corpus.passages.active()}


def _grade_all(claimed: Assignment, grade: int) -> None:
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, grade)
    judgements.submit(claimed)


def _settle(query: Query, *people: User) -> None:
    for person in people:
        _grade_all(claims.claim(query, person), 2)
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED


def _settled_grades(query: Query) -> dict[tuple[str, bool], float]:
    """(passage, whether it is the text of today) → grade."""
    rows = SettledGrade.objects.filter(review__query=query, review__state="settled").select_related("passage")
    return {(row.passage.external_id, row.passage.retired_at is None): row.grade for row in rows}


def test_a_settled_query_stays_settled_while_only_the_new_text_is_judged(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait(shown="lion otter")
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED
    assignment = claims.claim_next(project, alice)  # who judged the old text may judge the new one
    assert assignment is not None and assignment.is_re_annotation and assignment.query == query
    assert [Passage.objects.get(pk=pk).text for pk in assignment.order] == ["The lion never sleeps."]
    assert claims.claim_next(project, bob) is None
    _grade_all(assignment, 0)
    assert _settled_grades(query) == {("lion", False): 2, ("lion", True): 0, ("otter", True): 2}
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and query.reviews.count() == 1
    assert Judgement.objects.not_withdrawn().filter(query=query, passage__text=ZOO["lion"]).get().grade == 2  # readable
    assert set(Event.objects.values_list("verb", flat=True)) >= {"expired", "asked_anew", "settled_anew"}


def test_a_re_annotation_has_a_reason_and_as_many_slots_as_people_judge(
    project: Project, alice: User, bob: User, erin: User, wait: Wait
) -> None:
    query = wait(shown="lion", overlap=2)
    _settle(query, alice, bob)
    _edit(project, lion="The lion never sleeps.")
    slots = query.assignments.open()
    assert sorted(slots.values_list("slot", flat=True)) == [3, 4]
    assert {labels.describe_reason(row) for row in slots} == {"The text of 1 passage was edited after it was judged."}
    first = claims.claim_next(project, alice)
    assert first is not None
    assert claims.claim_next(project, alice, beside=first.pk) is None  # one text, one assignment a person
    _grade_all(first, 3)
    assert ("lion", True) not in _settled_grades(query)  # the second is not in yet
    second = claims.claim_next(project, erin)
    assert second is not None
    _grade_all(second, 2)
    assert _settled_grades(query)["lion", True] == 2.5


def test_re_annotations_that_disagree_go_to_a_reviewer(project: Project, alice: User, bob: User, wait: Wait) -> None:
    query = wait(shown="lion otter", overlap=2)
    _settle(query, alice, bob)
    _edit(project, lion="The lion never sleeps.")
    for person, grade in ((alice, 0), (bob, 3)):
        assignment = claims.claim_next(project, person)
        assert assignment is not None
        _grade_all(assignment, grade)
    query.refresh_from_db()
    assert query.state == Query.State.IN_REVIEW
    review = Review.objects.waiting().get()
    assert labels.describe_reason(review) == "Annotators differ by 3 grades."
    adjudication.resolve(review, bob, {pk: 1.0 for pk in assignment.order}, review.answer)
    assert _settled_grades(query)["lion", True] == 1 and _settled_grades(query)["otter", True] == 2


def test_a_skipped_and_an_expired_re_annotation_ask_for_the_same_text(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait(shown="lion otter")
    _settle(query, alice)
    now = _edit(project, lion="The lion never sleeps.")
    assignment = claims.claim_next(project, alice)
    assert assignment is not None
    claims.skip(assignment)
    other = claims.claim_next(project, bob)
    assert (
        other is not None
        and other.is_re_annotation
        and other.order == [now["lion"].pk]
        and other.slot == assignment.slot
    )
    with pytest.raises(claims.SlotTaken):
        judgements.undo_submit(assignment)
    Assignment.objects.filter(pk=other.pk).update(lease_until=timezone.now())
    leases.expire_overdue()
    _grade_all(other, 1)  # late, but its slot is free
    other.refresh_from_db()
    assert not other.is_extra and _settled_grades(query)["lion", True] == 1


def test_undoing_a_re_annotation_unsettles_its_passages_only(project: Project, alice: User, wait: Wait) -> None:
    query = wait(shown="lion otter")
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    assignment = claims.claim_next(project, alice)
    assert assignment is not None
    _grade_all(assignment, 3)
    judgements.undo_submit(assignment)
    assert _settled_grades(query) == {("lion", False): 2, ("otter", True): 2}
    judgements.submit(assignment)
    assert _settled_grades(query)["lion", True] == 3


def test_an_open_query_shows_the_newest_text(project: Project, alice: User, wait: Wait) -> None:
    settled, waiting = wait(shown="lion"), wait("Who hunts?", shown="tiger lion")
    _settle(settled, alice)
    _edit(project, lion="The lion never sleeps.")
    newest = _edit(project, lion="The lion dreams.")
    assignment, other = (Assignment.objects.open().get(query=query) for query in (settled, waiting))
    assert assignment.order == [newest["lion"].pk]
    shown = list(other.ranking.shown.values_list("rank", "passage"))
    assert shown == [(1, newest["tiger"].pk), (2, newest["lion"].pk)]
    assert Assignment.objects.open().count() == 2


def test_a_submit_of_the_old_text_after_the_edit_leads_to_a_re_annotation(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait(shown="lion otter")
    held = claims.claim(query, alice)
    _edit(project, lion="The lion never sleeps.")
    assert not Assignment.objects.open().exists()
    _grade_all(held, 2)
    assignment = claims.claim_next(project, bob)
    assert assignment is not None and assignment.is_re_annotation and len(assignment.order) == 1
    newest = _edit(project, lion="The lion dreams.")  # and again, with the re-annotation claimed
    _grade_all(assignment, 1)
    again = claims.claim_next(project, alice)
    assert again is not None and again.order == [newest["lion"].pk]
    _grade_all(again, 0)
    assert _settled_grades(query)["lion", True] == 0
    assert not Assignment.objects.open().exists()


def test_a_withdrawn_passage_and_a_project_without_re_annotation_create_no_assignment(
    project: Project, alice: User, wait: Wait
) -> None:
    query = wait(shown="lion")
    _settle(query, alice)
    withdrawal.withdraw(project.corpus, ["lion"])
    assert not query.assignments.open().exists()
    Project.objects.update(re_annotates_edits=False)
    again = wait("Who hunts?", shown="tiger")
    _settle(again, alice)
    _edit(project, tiger="The tiger rests.")
    assert not Assignment.objects.open().exists()


def test_a_query_of_the_evaluation_sample_is_re_annotated_with_priority_0(
    project: Project, alice: User, wait: Wait
) -> None:
    query = wait(shown="lion", is_evaluation=True)
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    slot = query.assignments.open().get()
    assert slot.priority == 0
    assignment = claims.claim_next(project, alice)
    assert assignment is not None and assignment.selection == Assignment.Selection.RANDOM
    assert labels.describe_reason(assignment) == "The text of 1 passage was edited after it was judged."


def test_the_page_of_a_re_annotation_shows_one_passage_and_says_so(
    client: Client, project: Project, alice: User, wait: Wait
) -> None:
    query = wait(shown="lion otter snail")
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    client.force_login(alice)
    page = client.get(client.get("/p/zoo/judge/").url)
    assert len(page.context["work"].cards) == 1
    text = page.content.decode()
    assert "Only passages that were edited after they were judged are shown." in text and ZOO["otter"] not in text


def test_the_database_refuses_a_second_re_annotation_of_one_ranking_by_one_person(
    project: Project, alice: User, wait: Wait
) -> None:
    query = wait(shown="lion", overlap=1)
    _settle(query, alice)
    _edit(project, lion="The lion never sleeps.")
    assignment = claims.claim_next(project, alice)
    assert assignment is not None
    assignment.pk, assignment.slot = None, 9
    with pytest.raises(IntegrityError), transaction.atomic():
        assignment.save(force_insert=True)
