"""The schedule of training cycles."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from curation.models import Project, Query, Release
from tuning.cycles import cycle_schedule, training_cycle
from tuning.models import Cycle, Policy


@pytest.fixture
def policy(project: Project, release: Release, settled: list[Query]) -> Policy:
    return Policy.objects.create(project=project, is_active=True, min_new_queries=10, min_hours_between=24)


def test_enough_new_work_is_due(policy: Policy) -> None:
    assert cycle_schedule.is_due(policy)


def test_too_little_new_work_is_not_due(policy: Policy) -> None:
    policy.min_new_queries = 15  # there are 14
    assert not cycle_schedule.is_due(policy)


def test_an_inactive_policy_is_never_due(policy: Policy) -> None:
    policy.is_active = False
    assert not cycle_schedule.is_due(policy)


def test_nothing_is_due_while_a_cycle_is_unfinished(policy: Policy) -> None:
    training_cycle.start(policy.project)
    assert not cycle_schedule.is_due(policy)
    assert cycle_schedule.start_due() == []


def test_only_work_since_the_last_cycle_is_new(policy: Policy) -> None:
    later = timezone.now() + timedelta(hours=25)
    cycle = Cycle.objects.create(project=policy.project, state="failed")
    assert not cycle_schedule.is_due(policy, later)  # nothing new since, though the last one failed
    Query.objects.update(settled_at=cycle.created_at + timedelta(hours=1))
    assert cycle_schedule.is_due(policy, later)


def test_the_minimum_of_hours_between_cycles_holds(policy: Policy) -> None:
    cycle = Cycle.objects.create(project=policy.project, state="done")
    Query.objects.update(settled_at=cycle.created_at + timedelta(seconds=1))
    assert not cycle_schedule.is_due(policy, cycle.created_at + timedelta(hours=23))
    assert cycle_schedule.is_due(policy, cycle.created_at + timedelta(hours=25))


def test_a_cancelled_cycle_does_not_count(policy: Policy) -> None:
    Cycle.objects.create(project=policy.project, state="cancelled")
    assert cycle_schedule.is_due(policy)


def test_a_project_without_a_live_release_is_not_due(policy: Policy) -> None:
    Release.objects.update(state=Release.State.RETIRED)
    assert not cycle_schedule.is_due(policy)


def test_a_due_policy_starts_a_cycle_with_its_settings(policy: Policy) -> None:
    Policy.objects.update(only="retriever", gate="never", settings={"budget_seconds": 60})
    (cycle,) = cycle_schedule.start_due()
    assert (cycle.only, cycle.gate, cycle.settings) == ("retriever", "never", {"budget_seconds": 60})
    assert cycle_schedule.start_due() == []
