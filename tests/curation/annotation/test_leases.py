"""Leases: an expired claim frees its slot, keeps its grades, and can be resumed while the slot is free."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from curation.annotation import claims, judgements, leases
from curation.models import Assignment, Event, Project, Query

State, Selection = Assignment.State, Assignment.Selection
Wait = Callable[..., Query]


def _expire(assignment: Assignment) -> None:
    Assignment.objects.filter(pk=assignment.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert leases.expire_overdue() == 1


def test_an_expired_lease_frees_the_slot_and_keeps_the_grades(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    judgements.record(claimed, claimed.order[0], 3)
    _expire(claimed)
    claimed.refresh_from_db()
    assert claimed.state == State.EXPIRED and claimed.judgements.not_withdrawn().count() == 1
    assert claims.claim_next(project, bob) is not None
    assert Event.objects.filter(verb="lapsed", assignment=claimed).exists()


def test_a_running_lease_does_not_expire(project: Project, alice: User, wait: Wait) -> None:
    wait()
    claims.claim_next(project, alice)
    assert leases.expire_overdue() == 0


def test_renewing_an_expired_lease_resumes_the_claim_while_the_slot_is_free(
    project: Project, alice: User, wait: Wait
) -> None:
    wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    _expire(claimed)
    assert leases.renew(claimed).state == State.CLAIMED
    assert not Assignment.objects.open().exists()


def test_renewing_an_expired_lease_is_refused_when_the_slot_is_taken(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    wait()
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    _expire(claimed)
    claims.claim_next(project, bob)
    with pytest.raises(leases.LeaseLost):
        leases.renew(claimed)


def test_an_expired_claim_may_resume_another_slot_of_the_query(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    wait(overlap=2)
    claimed = claims.claim_next(project, alice)
    assert claimed is not None
    _expire(claimed)
    taken = claims.claim_next(project, bob)
    assert taken is not None
    back = leases.renew(claimed)
    assert {back.slot, taken.slot} == {1, 2}
