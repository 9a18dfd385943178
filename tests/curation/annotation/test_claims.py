"""Claims: one person a slot, no query twice, and a reason that says why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from curation.annotation import assignments, claims, judgements
from curation.core import labels
from curation.models import Assignment, Event, Membership, Project, Query

State, Selection = Assignment.State, Assignment.Selection
Wait = Callable[..., Query]


def test_a_claim_takes_a_slot_with_a_lease_and_the_persons_own_order(project: Project, alice: User, wait: Wait) -> None:
    query = wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None and claimed.query == query and claimed.state == State.CLAIMED
    assert claimed.lease_until is not None and claimed.lease_until > timezone.now()
    shown = claimed.ranking.shown.values_list("passage_id", flat=True)
    assert sorted(claimed.order) == sorted(shown)
    assert labels.describe_reason(claimed) == "Picked at random."


def test_claiming_again_returns_the_claimed_assignment(project: Project, alice: User, wait: Wait) -> None:
    wait(), wait()
    first = claims.claim_next(project, alice)
    assert claims.claim_next(project, alice) == first


def test_one_more_assignment_can_be_claimed_beside_the_one_on_screen(project: Project, alice: User, wait: Wait) -> None:
    wait(), wait(), wait()
    first = claims.claim_next(project, alice)
    assert first is not None
    ahead = claims.claim_next(project, alice, beside=first.pk)
    assert ahead is not None and ahead != first
    assert claims.claim_next(project, alice, beside=first.pk) == ahead
    assert Assignment.objects.held_by(alice).count() == 2


def test_two_people_get_two_slots_of_one_query_and_a_third_gets_none(
    project: Project, alice: User, bob: User, erin: User, wait: Wait
) -> None:
    wait(overlap=2)
    first, second = claims.claim_next(project, alice), claims.claim_next(project, bob)
    assert first is not None and second is not None and {first.slot, second.slot} == {1, 2}
    assert claims.claim_next(project, erin) is None


def test_nobody_gets_a_query_twice(project: Project, alice: User, wait: Wait) -> None:
    query = wait(overlap=3)
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    claims.skip(claimed, "not my field")
    assert claims.claim_next(project, alice) is None
    with pytest.raises(assignments.AlreadyAssigned):
        claims.claim(query, alice)


def test_a_skipped_assignment_waits_for_somebody_else_at_its_place_of_the_queue(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    skipped = claims.skip(claimed, "not my field")
    assert skipped.state == State.SKIPPED and skipped.comment == "not my field"
    assert claims.skip(claimed).state == State.SKIPPED  # twice is once
    fresh = Assignment.objects.open().get()
    assert (fresh.slot, fresh.random_key) == (claimed.slot, claimed.random_key)
    assert claims.claim_next(project, bob) is not None


def test_a_paused_person_claims_nothing_new(project: Project, alice: User, wait: Wait) -> None:
    wait()
    Membership.objects.filter(user=alice).update(is_paused=True)
    with pytest.raises(claims.Paused):
        claims.claim_next(project, alice)


def test_a_stranger_claims_nothing(project: Project, carol: User, wait: Wait) -> None:
    wait()
    with pytest.raises(claims.ClaimRefused):
        claims.claim_next(project, carol)


def test_nothing_is_claimed_beyond_the_daily_limit(project: Project, alice: User, wait: Wait) -> None:
    wait(), wait(), wait()
    Membership.objects.filter(user=alice).update(daily_quota=1)
    first = claims.claim_next(project, alice)
    assert first is not None
    with pytest.raises(claims.QuotaReached):  # what is fetched ahead counts
        claims.claim_next(project, alice, beside=first.pk)
    for passage_id in first.order:
        judgements.record(first, passage_id, 1)
    judgements.submit(first)
    with pytest.raises(claims.QuotaReached):
        claims.claim_next(project, alice)
    Assignment.objects.filter(pk=first.pk).update(submitted_at=timezone.now() - timedelta(days=1))
    assert claims.claim_next(project, alice) is not None


def test_at_least_the_projects_share_of_claims_is_random(project: Project, alice: User, wait: Wait) -> None:
    for _number in range(20):
        assignments.set_priority(wait(), 1.0, [labels.make_reason("hole", build=7, rank=2)])
    claimed_rows = []
    while (claimed := claims.claim_next(project, alice)) is not None:
        claimed_rows.append(claimed)
        claims.skip(claimed)
        random_so_far = sum(one.selection == Selection.RANDOM for one in claimed_rows)
        assert random_so_far >= project.random_share * len(claimed_rows)
    by_priority = [one for one in claimed_rows if one.selection == Selection.PRIORITY]
    assert len(claimed_rows) == 20 and len(by_priority) <= 10
    assert {labels.describe_reason(one) for one in by_priority} == {"An unjudged passage has rank 2 in build 7."}


def test_a_claim_by_priority_takes_the_highest_priority(project: Project, alice: User, wait: Wait) -> None:
    for value in (1.0, 3.0, 2.0):
        query = wait()
        query.is_evaluation = False
        assignments.set_priority(query, value, [labels.make_reason("age", days=int(value))])
    Membership.objects.filter(user=alice).update(claims=1, random_claims=1)
    claimed = claims.claim_next(project, alice)
    assert claimed is not None and (claimed.selection, labels.describe_reason(claimed)) == (
        Selection.PRIORITY,
        "It was asked 3 days ago.",
    )


def test_the_evaluation_sample_keeps_priority_0_and_is_claimed_at_random(
    project: Project, alice: User, wait: Wait
) -> None:
    query = wait(is_evaluation=True)
    assert assignments.set_priority(query, 9.0, []) == 0
    Membership.objects.filter(user=alice).update(claims=1, random_claims=1)
    claimed = claims.claim_next(project, alice)
    assert claimed is not None and claimed.selection == Selection.RANDOM


def test_undoing_a_skip_restores_grades_comment_and_flag(project: Project, alice: User, wait: Wait) -> None:
    query = wait()
    claimed = claims.claim(query, alice)
    judgements.record(claimed, claimed.order[0], 2)
    judgements.flag(claimed, "odd")
    claims.skip(claimed, "not my field")
    restored = judgements.undo_submit(claimed, key="k")
    assert (restored.state, restored.slot, restored.comment, restored.is_flagged) == (State.CLAIMED, 1, "odd", True)
    assert restored.lease_until is not None and restored.lease_until > timezone.now()
    assert restored.judgements.not_withdrawn().get().grade == 2
    assert query.assignments.count() == 1  # the open row of the slot is gone again
    assert judgements.undo_submit(claimed, key="k").state == State.CLAIMED  # twice is once
    assert list(Event.objects.filter(verb__in=["skipped", "took_up"]).values_list("verb", flat=True)) == [
        "skipped",
        "took_up",
    ]


def test_a_skip_is_not_undone_when_another_person_has_the_slot(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait()
    mine = claims.claim(query, alice)
    claims.skip(mine)
    theirs = claims.claim(query, bob)
    with pytest.raises(claims.SlotTaken):
        judgements.undo_submit(mine)
    mine.refresh_from_db()
    assert mine.state == State.SKIPPED and Assignment.objects.held_by(bob).get() == theirs


def test_a_person_cannot_undo_that_a_manager_took_an_assignment_away(
    project: Project, alice: User, bob: User, mona: User, wait: Wait
) -> None:
    query = wait(overlap=3)
    taken, moved = claims.claim(query, alice), claims.claim(query, bob)
    claims.skip(taken, actor=mona)
    claims.reassign(moved, User.objects.create_user("dan"), mona)
    for one in (taken, moved):
        with pytest.raises(assignments.NotClaimed):
            judgements.undo_submit(one)


def test_undoing_the_skip_of_a_gold_question_needs_no_slot(project: Project, alice: User, wait: Wait) -> None:
    gold = wait()
    Assignment.objects.filter(query=gold).delete()
    Query.objects.filter(pk=gold.pk).update(gold={"1": 3})
    project.gold_rate = 1.0
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    claims.skip(claimed)
    restored = judgements.undo_submit(claimed)
    assert (restored.state, restored.slot, restored.is_extra) == (State.CLAIMED, 0, True)


def test_gold_questions_are_mixed_in_and_fill_no_slot(project: Project, alice: User, bob: User, wait: Wait) -> None:
    gold, plain = wait(), wait()
    Assignment.objects.filter(query=gold).delete()
    Query.objects.filter(pk=gold.pk).update(gold={"1": 3})
    project.gold_rate = 1.0
    for person in (alice, bob):
        claimed = claims.claim_next(project, person)
        assert claimed is not None and claimed.query == gold
        assert labels.describe_reason(claimed) == "Picked at random."
        following = claims.claim_next(project, person, beside=claimed.pk)
        assert following is None or following.query == plain  # each gold question once a person


def test_reassigning_moves_the_slot_to_the_other_person(project: Project, alice: User, bob: User, wait: Wait) -> None:
    wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    moved = claims.reassign(claimed, bob)
    assert (moved.curator, moved.slot, moved.state) == (bob, claimed.slot, State.CLAIMED)
    with pytest.raises(assignments.AlreadyAssigned):
        claims.reassign(moved, alice)


def test_a_person_who_has_had_the_head_of_the_queue_gets_the_rest(
    project: Project, alice: User, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "WINDOW", 2)
    for _number in range(6):
        wait(overlap=2)
    seen = set()
    while (claimed := claims.claim_next(project, alice)) is not None:
        seen.add(claimed.query_id)
        claims.skip(claimed)
    assert len(seen) == 6


def test_the_number_of_statements_of_a_claim_does_not_grow_with_the_queue(
    project: Project, alice: User, bob: User, wait: Wait, django_assert_max_num_queries: Callable[..., object]
) -> None:
    wait()
    with django_assert_max_num_queries(14):
        claims.claim_next(project, alice)
    for _number in range(30):
        wait(overlap=3)
    with django_assert_max_num_queries(14):
        claims.claim_next(project, bob)
