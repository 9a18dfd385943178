"""Assignments: created where a slot is missing, and nowhere twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError

from curation.annotation import assignments, claims
from curation.models import Assignment, Project, Query, Release
from curation.queries import intake
from curation.queries.signals import queries_ready

State = Assignment.State
Wait = Callable[..., Query]


def test_only_missing_slots_get_an_open_assignment(project: Project, alice: User, wait: Wait) -> None:
    query = wait(overlap=2)
    claims.claim(query, alice)
    assert assignments.create_open(project, [query]) == []
    query.overlap = 4
    created = assignments.create_open(project, [query])
    assert [row.slot for row in created] == [3, 4]
    assert {row.ranking_id for row in created} == {query.rankings.get().pk}
    assert sorted(query.assignments.values_list("slot", "state")) == [
        (1, State.CLAIMED),
        (2, State.OPEN),
        (3, State.OPEN),
        (4, State.OPEN),
    ]


def test_the_slots_of_a_query_stand_side_by_side_in_the_random_order(project: Project, wait: Wait) -> None:
    query = wait(overlap=3)
    assert len(set(query.assignments.values_list("random_key", flat=True))) == 1


def test_a_gold_question_gets_no_assignment(project: Project, wait: Wait) -> None:
    assert not wait(gold={"1": 3}).assignments.exists()


def test_the_database_keeps_one_assignment_a_slot(project: Project, wait: Wait) -> None:
    row = wait().assignments.get()
    row.pk = None
    with pytest.raises(IntegrityError):
        row.save(force_insert=True)


@pytest.fixture
def broken_receiver() -> Iterator[None]:
    def fail(**signal: object) -> None:
        raise RuntimeError("no room")

    queries_ready.connect(fail)
    yield
    queries_ready.disconnect(fail)


@pytest.mark.usefixtures("broken_receiver")
def test_a_new_query_and_its_assignments_are_created_together_or_not_at_all(project: Project, release: Release) -> None:
    with pytest.raises(RuntimeError, match="no room"):
        intake.ask(project, "Who sings?")
    assert not Query.objects.exists() and not Assignment.objects.exists()


@pytest.mark.usefixtures("broken_receiver")
def test_a_query_that_waited_for_a_release_stays_waiting_when_its_assignments_fail(
    project: Project, release: Release
) -> None:
    query = Query.objects.create(project=project, external_id="q1", text="Who sings?")
    with pytest.raises(RuntimeError, match="no room"):
        intake.freeze_waiting(project)
    assert not query.rankings.exists() and not query.assignments.exists()
