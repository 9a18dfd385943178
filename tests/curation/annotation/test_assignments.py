"""The queue: one person a slot, one turn at a query, leases that end, and a line that says why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from curation.annotation import assignments, judgements
from curation.core import labels
from curation.models import Assignment, Event, Membership, Project, Query

State, Selection = Assignment.State, Assignment.Selection
Wait = Callable[..., Query]


def _lapse(assignment: Assignment) -> None:
    Assignment.objects.filter(pk=assignment.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert assignments.expire() == 1


def test_a_claim_takes_a_slot_with_a_lease_and_an_order_of_ones_own(project: Project, alice: User, wait: Wait) -> None:
    query = wait()
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None and claimed.query == query and claimed.state == State.CLAIMED
    assert claimed.lease_until is not None and claimed.lease_until > timezone.now()
    shown = claimed.ranking.shown.values_list("passage_id", flat=True)
    assert sorted(claimed.order) == sorted(shown)
    assert labels.why(claimed) == "Picked at random."


def test_asking_again_gives_the_same_work(project: Project, alice: User, wait: Wait) -> None:
    wait(), wait()
    first = assignments.claim_next(project, alice)
    assert assignments.claim_next(project, alice) == first


def test_beside_the_one_in_hand_comes_one_more_and_always_the_same(project: Project, alice: User, wait: Wait) -> None:
    wait(), wait(), wait()
    first = assignments.claim_next(project, alice)
    assert first is not None
    ahead = assignments.claim_next(project, alice, beside=first.pk)
    assert ahead is not None and ahead != first
    assert assignments.claim_next(project, alice, beside=first.pk) == ahead
    assert Assignment.objects.held_by(alice).count() == 2


def test_two_people_get_two_slots_of_one_query_and_a_third_gets_none(
    project: Project, alice: User, bob: User, erin: User, wait: Wait
) -> None:
    wait(overlap=2)
    first, second = assignments.claim_next(project, alice), assignments.claim_next(project, bob)
    assert first is not None and second is not None and {first.slot, second.slot} == {1, 2}
    assert assignments.claim_next(project, erin) is None


def test_nobody_gets_a_query_twice(project: Project, alice: User, wait: Wait) -> None:
    query = wait(overlap=3)
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    assignments.hand_back(claimed, "not my field")
    assert assignments.claim_next(project, alice) is None
    with pytest.raises(assignments.HadBefore):
        assignments.claim(query, alice)


def test_what_is_handed_back_waits_for_somebody_else_and_keeps_its_place(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    wait()
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    returned = assignments.hand_back(claimed, "not my field")
    assert returned.state == State.SKIPPED and returned.comment == "not my field"
    assert assignments.hand_back(claimed).state == State.SKIPPED  # twice is once
    fresh = Assignment.objects.open().get()
    assert (fresh.slot, fresh.random_key) == (claimed.slot, claimed.random_key)
    assert assignments.claim_next(project, bob) is not None


def test_a_lease_that_is_over_frees_the_slot_and_keeps_the_grades(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    wait()
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    judgements.record(claimed, claimed.order[0], 3)
    _lapse(claimed)
    claimed.refresh_from_db()
    assert claimed.state == State.EXPIRED and claimed.judgements.standing().count() == 1
    assert assignments.claim_next(project, bob) is not None
    assert Event.objects.filter(verb="lapsed", assignment=claimed).exists()


def test_a_lease_that_runs_is_left_alone(project: Project, alice: User, wait: Wait) -> None:
    wait()
    assignments.claim_next(project, alice)
    assert assignments.expire() == 0


def test_coming_back_takes_the_slot_up_again_while_it_is_free(project: Project, alice: User, wait: Wait) -> None:
    wait()
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    _lapse(claimed)
    assert assignments.renew(claimed).state == State.CLAIMED
    assert not Assignment.objects.open().exists()


def test_coming_back_too_late_says_so(project: Project, alice: User, bob: User, wait: Wait) -> None:
    wait()
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    _lapse(claimed)
    assignments.claim_next(project, bob)
    with pytest.raises(assignments.LeaseLost):
        assignments.renew(claimed)


def test_a_lapsed_slot_can_be_another_one_of_the_same_query(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    wait(overlap=2)
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    _lapse(claimed)
    taken = assignments.claim_next(project, bob)
    assert taken is not None
    back = assignments.renew(claimed)
    assert {back.slot, taken.slot} == {1, 2}


def test_a_paused_person_claims_nothing_new(project: Project, alice: User, wait: Wait) -> None:
    wait()
    Membership.objects.filter(user=alice).update(is_paused=True)
    with pytest.raises(assignments.Paused):
        assignments.claim_next(project, alice)


def test_a_stranger_claims_nothing(project: Project, carol: User, wait: Wait) -> None:
    wait()
    with pytest.raises(assignments.NotNow):
        assignments.claim_next(project, carol)


def test_a_full_quota_ends_the_day(project: Project, alice: User, wait: Wait) -> None:
    wait(), wait(), wait()
    Membership.objects.filter(user=alice).update(daily_quota=1)
    first = assignments.claim_next(project, alice)
    assert first is not None
    with pytest.raises(assignments.QuotaReached):  # what is fetched ahead counts
        assignments.claim_next(project, alice, beside=first.pk)
    for passage_id in first.order:
        judgements.record(first, passage_id, 1)
    judgements.submit(first)
    with pytest.raises(assignments.QuotaReached):
        assignments.claim_next(project, alice)
    Assignment.objects.filter(pk=first.pk).update(submitted_at=timezone.now() - timedelta(days=1))
    assert assignments.claim_next(project, alice) is not None


def test_at_least_the_projects_share_is_drawn_at_random(project: Project, alice: User, wait: Wait) -> None:
    for _number in range(20):
        assignments.prefer(wait(), 1.0, [labels.because("hole", build=7, rank=2)])
    claims = []
    while (claimed := assignments.claim_next(project, alice)) is not None:
        claims.append(claimed)
        assignments.hand_back(claimed)
        random_so_far = sum(one.selection == Selection.RANDOM for one in claims)
        assert random_so_far >= project.random_share * len(claims)
    steered = [one for one in claims if one.selection == Selection.PRIORITY]
    assert len(claims) == 20 and len(steered) <= 10
    assert {labels.why(one) for one in steered} == {"Nobody has judged what build 7 ranks at place 2."}


def test_the_most_valuable_comes_first_among_the_steered(project: Project, alice: User, wait: Wait) -> None:
    for value in (1.0, 3.0, 2.0):
        query = wait()
        query.is_evaluation = False
        assignments.prefer(query, value, [labels.because("age", days=int(value))])
    Membership.objects.filter(user=alice).update(claims=1, random_claims=1)
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None and (claimed.selection, labels.why(claimed)) == (
        Selection.PRIORITY,
        "It was asked 3 days ago.",
    )


def test_the_evaluation_sample_is_never_steered(project: Project, alice: User, wait: Wait) -> None:
    query = wait(is_evaluation=True)
    assert assignments.prefer(query, 9.0, []) == 0
    Membership.objects.filter(user=alice).update(claims=1, random_claims=1)
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None and claimed.selection == Selection.RANDOM


def test_a_skip_is_undone_with_what_was_there(project: Project, alice: User, wait: Wait) -> None:
    query = wait()
    claimed = assignments.claim(query, alice)
    judgements.record(claimed, claimed.order[0], 2)
    judgements.flag(claimed, "odd")
    assignments.skip(claimed, "not my field")
    back = judgements.undo_submit(claimed, key="k")
    assert (back.state, back.slot, back.comment, back.is_flagged) == (State.CLAIMED, 1, "odd", True)
    assert back.lease_until is not None and back.lease_until > timezone.now()
    assert back.judgements.standing().get().grade == 2
    assert query.assignments.count() == 1  # the fresh row of the slot has gone again
    assert judgements.undo_submit(claimed, key="k").state == State.CLAIMED  # twice is once
    assert list(Event.objects.filter(verb__in=["skipped", "took_up"]).values_list("verb", flat=True)) == [
        "skipped",
        "took_up",
    ]


def test_what_somebody_else_took_meanwhile_is_not_taken_up_again(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait()
    mine = assignments.claim(query, alice)
    assignments.hand_back(mine)
    theirs = assignments.claim(query, bob)
    with pytest.raises(assignments.Taken):
        judgements.undo_submit(mine)
    mine.refresh_from_db()
    assert mine.state == State.SKIPPED and Assignment.objects.held_by(bob).get() == theirs


def test_what_an_administrator_took_away_is_not_taken_up_again(
    project: Project, alice: User, bob: User, mona: User, wait: Wait
) -> None:
    query = wait(overlap=3)
    taken, moved = assignments.claim(query, alice), assignments.claim(query, bob)
    assignments.hand_back(taken, actor=mona)
    assignments.reassign(moved, User.objects.create_user("dan"), mona)
    for one in (taken, moved):
        with pytest.raises(assignments.NotHeld):
            judgements.undo_submit(one)


def test_a_gold_question_is_taken_up_again_without_a_slot(project: Project, alice: User, wait: Wait) -> None:
    gold = wait()
    Assignment.objects.filter(query=gold).delete()
    Query.objects.filter(pk=gold.pk).update(gold={"1": 3})
    project.gold_rate = 1.0
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    assignments.skip(claimed)
    back = judgements.undo_submit(claimed)
    assert (back.state, back.slot, back.is_extra) == (State.CLAIMED, 0, True)


def test_gold_questions_are_mixed_in_and_take_no_slot(project: Project, alice: User, bob: User, wait: Wait) -> None:
    gold, plain = wait(), wait()
    Assignment.objects.filter(query=gold).delete()
    Query.objects.filter(pk=gold.pk).update(gold={"1": 3})
    project.gold_rate = 1.0
    for person in (alice, bob):
        claimed = assignments.claim_next(project, person)
        assert claimed is not None and claimed.query == gold
        assert labels.why(claimed) == "Picked at random."
        following = assignments.claim_next(project, person, beside=claimed.pk)
        assert following is None or following.query == plain  # each gold question once a person


def test_reassigning_moves_the_slot_to_the_other_person(project: Project, alice: User, bob: User, wait: Wait) -> None:
    wait()
    claimed = assignments.claim_next(project, alice)
    assert claimed is not None
    moved = assignments.reassign(claimed, bob)
    assert (moved.curator, moved.slot, moved.state) == (bob, claimed.slot, State.CLAIMED)
    with pytest.raises(assignments.HadBefore):
        assignments.reassign(moved, alice)


def test_a_person_who_has_had_the_head_of_the_queue_still_finds_the_rest(
    project: Project, alice: User, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assignments, "WINDOW", 2)
    for _number in range(6):
        wait(overlap=2)
    seen = set()
    while (claimed := assignments.claim_next(project, alice)) is not None:
        seen.add(claimed.query_id)
        assignments.hand_back(claimed)
    assert len(seen) == 6


def test_the_number_of_statements_does_not_grow_with_the_queue(
    project: Project, alice: User, bob: User, wait: Wait, django_assert_max_num_queries: Callable[..., object]
) -> None:
    wait()
    with django_assert_max_num_queries(14):
        assignments.claim_next(project, alice)
    for _number in range(30):
        wait(overlap=3)
    with django_assert_max_num_queries(14):
        assignments.claim_next(project, bob)
