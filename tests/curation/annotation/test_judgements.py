"""Judgements: each grade is saved once, with its history; a late submit counts while its slot is free."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from curation.annotation import assignments, claims, judgements, leases
from curation.models import Answer, Assignment, Draft, Event, Judgement, Project, Query, Unchangeable
from retrieval.models import Passage

State = Assignment.State
Wait = Callable[..., Query]


@pytest.fixture
def mine(project: Project, alice: User, wait: Wait) -> Assignment:
    wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    return claimed


def grade_all(assignment: Assignment, grade: int | None = 1) -> None:
    for passage_id in assignment.order:
        judgements.record(assignment, passage_id, grade)


def expire(assignment: Assignment) -> None:
    Assignment.objects.filter(pk=assignment.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    leases.expire_overdue()


def test_a_grade_is_kept_with_the_passage_as_it_was_judged(mine: Assignment) -> None:
    passage_id = mine.order[0]
    judgement = judgements.record(mine, passage_id, 2, position=1, seconds=4.5, evidence=[[0, 8]])
    assert judgement.content_hash == Passage.objects.get(pk=passage_id).content_hash
    assert (judgement.grade, judgement.shown_position, judgement.evidence) == (2, 1, [[0, 8]])
    mine.refresh_from_db()
    assert mine.active_seconds == judgement.active_seconds == 4.5


def test_a_second_grade_replaces_the_first_and_both_are_in_the_audit_log(mine: Assignment) -> None:
    passage_id = mine.order[0]
    judgements.record(mine, passage_id, 2, seconds=2, evidence=[[0, 3]])
    changed = judgements.record(mine, passage_id, 0, seconds=1)
    assert Judgement.objects.not_withdrawn().get() == changed
    assert (changed.grade, changed.active_seconds, changed.evidence) == (0, 3, [[0, 3]])
    history = [event.data for event in Event.objects.filter(verb="graded").order_by("pk")]
    assert history == [{"grade": 2, "evidence": [[0, 3]]}, {"grade": 0, "was": 2}]


def test_cant_tell_is_a_judgement_without_a_grade(mine: Assignment) -> None:
    assert judgements.record(mine, mine.order[0], None).grade is None


def test_a_repeated_key_changes_nothing_and_returns_the_same(mine: Assignment) -> None:
    first = judgements.record(mine, mine.order[0], 3, key="k1")
    judgements.record(mine, mine.order[0], 1, key="k2")
    again = judgements.record(mine, mine.order[0], 3, key="k1")
    assert again == first and again.grade == 1
    assert Event.objects.filter(verb="graded").count() == 2


def test_a_grade_sent_again_after_the_submit_returns_the_saved_one(mine: Assignment) -> None:
    for passage in mine.order:
        judgements.record(mine, passage, 2, key=f"k{passage}")
    judgements.submit(mine)
    again = judgements.record(mine, mine.order[0], 2, key=f"k{mine.order[0]}")
    assert (again.grade, Event.objects.filter(verb="graded").count()) == (2, len(mine.order))
    with pytest.raises(judgements.NotEditable):
        judgements.record(mine, mine.order[0], 1, key="later")


def test_an_assignment_referenced_by_id_is_judged_by_its_person_only(
    mine: Assignment, project: Project, alice: User, bob: User
) -> None:
    passage = mine.order[0]
    assert judgements.record(assignments.reference(project, alice, mine.pk), passage, 1).curator == alice
    for act in (
        lambda row: judgements.record(row, passage, 3),
        judgements.submit,
        leases.renew,
        claims.skip,
    ):
        with pytest.raises(assignments.NotYourAssignment):
            act(assignments.reference(project, bob, mine.pk))
    assert mine.judgements.get().grade == 1


def test_the_same_key_of_another_person_is_another_act(
    mine: Assignment, project: Project, bob: User, wait: Wait
) -> None:
    wait()
    theirs = claims.claim_next(project, bob)
    assert theirs is not None
    judgements.record(mine, mine.order[0], 3, key="k1")
    assert judgements.record(theirs, theirs.order[0], 1, key="k1").curator == bob


def test_a_cleared_grade_leaves_the_passage_unjudged_and_keeps_its_row(mine: Assignment) -> None:
    judgements.record(mine, mine.order[0], 3)
    judgements.clear(mine, mine.order[0], key="undo")
    judgements.clear(mine, mine.order[0], key="undo")
    assert not Judgement.objects.not_withdrawn().exists() and Judgement.objects.count() == 1
    assert judgements.record(mine, mine.order[0], 2).grade == 2


@pytest.mark.parametrize("grade", [-1, 4, 2.5])
def test_a_grade_outside_the_scale_is_refused(mine: Assignment, grade: int) -> None:
    with pytest.raises(judgements.InvalidGrade):
        judgements.record(mine, mine.order[0], grade)


def test_a_passage_that_was_not_shown_is_refused(mine: Assignment, passages: dict[str, Passage]) -> None:
    with pytest.raises(judgements.PassageNotShown):
        judgements.record(mine, passages["whale"].pk, 1)


def test_somebody_elses_assignment_is_refused(mine: Assignment, alice: User, bob: User) -> None:
    assert assignments.own_assignment(alice, mine.pk) == mine
    with pytest.raises(assignments.NotYourAssignment):
        assignments.own_assignment(bob, mine.pk)


def test_a_missing_passage_can_be_added_and_graded(mine: Assignment, passages: dict[str, Passage]) -> None:
    judgements.add_passage(mine, passages["whale"].pk)
    row = judgements.add_passage(mine, passages["whale"].pk)
    assert row.order[-1] == passages["whale"].pk and len(row.order) == 4
    shown = row.ranking.shown.get(passage=passages["whale"])
    assert (shown.rank, shown.score, shown.added_by) == (4, None, mine.curator)
    judgements.record(mine, passages["whale"].pk, 3)


def test_an_unchanged_answer_adds_no_event(mine: Assignment) -> None:
    for _time in range(2):
        judgements.write_answer(mine, "The lion.", citations=[{"sentence": 0, "passage": mine.order[0]}])
    answer = judgements.write_answer(mine, "The lion and the otter.")
    assert answer is not None and len(answer.citations) == 1
    assert Event.objects.filter(verb="answered").count() == 2


def test_a_submit_needs_every_grade(mine: Assignment) -> None:
    judgements.record(mine, mine.order[0], 1)
    with pytest.raises(judgements.UngradedPassages, match="Grade the 2 remaining passages to submit"):
        judgements.submit(mine)
    judgements.mark_unanswerable(mine)
    assert judgements.submit(mine).assignment.state == State.SUBMITTED


def test_a_submit_without_an_edit_accepts_the_draft(mine: Assignment) -> None:
    draft = Draft.objects.create(ranking=mine.ranking, text="It is the lion.")
    grade_all(mine)
    judgements.submit(mine)
    answer = Answer.objects.get(assignment=mine)
    assert (answer.text, answer.draft) == ("It is the lion.", draft)


def test_a_double_submit_is_one(mine: Assignment) -> None:
    grade_all(mine)
    first, second = judgements.submit(mine, key="s"), judgements.submit(mine, key="s")
    assert first == second and not first.is_extra
    assert Event.objects.filter(verb="submitted").count() == 1


def test_submitted_work_cannot_be_edited_until_the_submit_is_undone(mine: Assignment) -> None:
    grade_all(mine)
    judgements.submit(mine)
    with pytest.raises(judgements.NotEditable):
        judgements.record(mine, mine.order[0], 3)
    assert judgements.undo_submit(mine).state == State.CLAIMED
    judgements.record(mine, mine.order[0], 3)
    judgements.submit(mine)
    mine.query.refresh_from_db()
    assert mine.query.state == Query.State.SETTLED


def test_a_submit_that_settled_the_query_can_be_undone_for_a_limited_time(mine: Assignment) -> None:
    grade_all(mine)
    judgements.submit(mine)
    mine.query.refresh_from_db()
    assert mine.query.state == Query.State.SETTLED
    judgements.undo_submit(mine)
    mine.query.refresh_from_db()
    assert mine.query.state == Query.State.OPEN
    judgements.submit(mine)
    long_ago = timezone.now() - timedelta(seconds=judgements.UNDO_SECONDS + 1)
    Assignment.objects.filter(pk=mine.pk).update(submitted_at=long_ago)
    with pytest.raises(judgements.AlreadySettled):
        judgements.undo_submit(mine)


def test_a_late_submit_counts_while_the_slot_is_free(mine: Assignment) -> None:
    grade_all(mine)
    expire(mine)
    submitted = judgements.submit(mine)
    assert not submitted.is_extra and not Assignment.objects.open().exists()
    mine.query.refresh_from_db()
    assert mine.query.state == Query.State.SETTLED


def test_a_late_submit_is_kept_as_an_extra_when_the_slot_is_taken(
    mine: Assignment, project: Project, bob: User
) -> None:
    grade_all(mine, 0)
    expire(mine)
    theirs = claims.claim_next(project, bob)
    assert theirs is not None and theirs.query == mine.query
    submitted = judgements.submit(mine)
    assert submitted.is_extra and Judgement.objects.submitted().filter(assignment=mine).count() == 3
    mine.query.refresh_from_db()
    assert mine.query.state == Query.State.OPEN  # an extra does not fill a slot
    grade_all(theirs, 2)
    judgements.submit(theirs)
    review = mine.query.reviews.get()
    assert {settled.grade for settled in review.grades.all()} == {2.0}  # nor does it count


def test_a_grade_after_the_lease_is_kept_and_resumes_the_claim(mine: Assignment) -> None:
    expire(mine)
    judgements.record(mine, mine.order[0], 3)
    mine.refresh_from_db()
    assert mine.state == State.CLAIMED and mine.judgements.count() == 1


def test_a_grade_renews_the_lease(mine: Assignment) -> None:
    soon = timezone.now() + timedelta(seconds=1)
    Assignment.objects.filter(pk=mine.pk).update(lease_until=soon)
    judgements.record(mine, mine.order[0], 1)
    mine.refresh_from_db()
    assert mine.lease_until is not None and mine.lease_until > soon + timedelta(seconds=60)


def test_a_grade_can_be_withdrawn_until_it_is_settled(mine: Assignment, bob: User) -> None:
    Query.objects.filter(pk=mine.query_id).update(overlap=2)
    grade_all(mine)
    judgements.submit(mine)
    judgement = mine.judgements.first()
    assert judgement is not None
    judgements.withdraw(judgement)
    assert judgement.withdrawn_at is not None and mine.judgements.not_withdrawn().count() == 2
    Query.objects.filter(pk=mine.query_id).update(state=Query.State.SETTLED)
    other = mine.judgements.not_withdrawn().first()
    assert other is not None
    with pytest.raises(judgements.AlreadySettled):
        judgements.withdraw(other)


def test_a_gold_question_is_scored_and_settles_nothing(project: Project, alice: User, wait: Wait) -> None:
    query = wait()
    known = {
        str(pk): grade
        for pk, grade in zip(
            query.assignments.get().ranking.shown.values_list("passage_id", flat=True), (3, 2, 0), strict=True
        )
    }
    query.assignments.all().delete()
    Query.objects.filter(pk=query.pk).update(gold=known)
    project.gold_rate = 1.0
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    grade_all(claimed, 2)
    assert not judgements.submit(claimed).is_extra  # the person cannot tell
    assert Event.objects.get(verb="submitted").data["gold"] == {"known": 3, "right": 1, "near": 2}
    query.refresh_from_db()
    assert query.state == Query.State.OPEN and not query.reviews.exists()


def test_events_cannot_be_changed_or_deleted(mine: Assignment) -> None:
    event = Event.objects.earliest("pk")
    event.verb = "never"
    for change in (event.save, event.delete, Event.objects.all().delete, lambda: Event.objects.update(verb="x")):
        with pytest.raises(Unchangeable):
            change()


def test_saving_a_grade_takes_a_fixed_number_of_statements(
    mine: Assignment, django_assert_max_num_queries: Callable[..., object]
) -> None:
    with django_assert_max_num_queries(9):
        judgements.record(mine, mine.order[0], 1, key="a", seconds=1)
    with django_assert_max_num_queries(8):
        judgements.record(mine, mine.order[0], 2, key="b", seconds=1)
