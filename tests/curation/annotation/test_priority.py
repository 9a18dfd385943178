"""Priority: each signal moves a query up, with the reason that people read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from curation.annotation import assignments, claims, judgements, priority
from curation.core import labels
from curation.models import Assignment, Project, Query, Ranking, Release, ShownPassage
from retrieval.models import Passage

Wait = Callable[..., Query]


def test_a_query_that_others_have_judged_gets_a_higher_priority(project: Project, alice: User, wait: Wait) -> None:
    query, sampled = wait("Who?", overlap=3), wait("How?", overlap=3, is_evaluation=True)
    wait("Why?", overlap=3)
    for one in (query, sampled):
        claimed = claims.claim(one, alice)
        judgements.mark_unanswerable(claimed)
        judgements.submit(claimed)
    priority.update_priorities(project)
    assert {(row.priority > 0.3, labels.describe_reason(row)) for row in query.assignments.open()} == {
        (True, "1 of 3 annotators have judged it.")
    }
    assert not project.assignments.exclude(query=query).filter(priority__gt=0).exists()


def test_an_unjudged_passage_of_a_newer_build_raises_the_priority(
    project: Project, release: Release, passages: dict[str, Passage], alice: User, wait: Wait
) -> None:
    query = wait(overlap=2)
    query.rankings.update(build=release.build)
    claimed = claims.claim(query, alice)
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, 1)
    ranking = Ranking.objects.create(query=query, build=release.build)
    for rank, name in enumerate(("lion", "whale"), start=1):
        ShownPassage.objects.create(ranking=ranking, passage=passages[name], rank=rank)
    assert priority.update_priorities(project, [query.pk]) == 1
    assert labels.describe_reason(query.assignments.open().get()) == "An unjudged passage has rank 2 in build 1."


def test_a_repeated_text_raises_the_priority_of_its_first_query_only(project: Project, alice: User, wait: Wait) -> None:
    first, again, other = wait("Who sleeps?"), wait("who sleeps"), wait("Who swims?")
    project.queries.update(is_evaluation=False)
    priority.update_priorities(project)
    value = {row.query_id: (row.priority, labels.describe_reason(row)) for row in Assignment.objects.open()}
    assert value[first.pk] == (0.25, "It was asked 2 times.")
    assert value[again.pk] == value[other.pk] == (0, "")
    Query.objects.filter(pk=again.pk).update(state=Query.State.SETTLED)
    priority.update_priorities(project, [first.pk])
    assert Assignment.objects.open().get(query=first).priority == 0  # the settled answer serves both


def test_a_disagreement_of_the_first_annotators_raises_the_priority(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait(overlap=3, shown="lion")
    project.queries.update(is_evaluation=False)
    for person, grade in ((alice, 0), (bob, 3)):
        claimed = claims.claim(query, person)
        judgements.record(claimed, claimed.order[0], grade)
        judgements.submit(claimed)
    priority.update_priorities(project)
    remaining = query.assignments.open().get()
    assert remaining.priority == pytest.approx(1 + 2 / 3, abs=0.001)
    assert labels.describe_reason(remaining) == "Annotators differ by 3 grades on a passage."


def test_an_old_query_moves_up_and_a_requeued_one_is_not_moved_back(project: Project, wait: Wait) -> None:
    old, requeued = wait("Who hunts?"), wait("Who sings?")
    project.queries.update(is_evaluation=False, asked_at=timezone.now() - timedelta(days=15, hours=1))
    assignments.set_priority(Query.objects.get(pk=requeued.pk), 1.0, [labels.make_reason("worse", release=2)])
    priority.update_priorities(project)
    rows = {row.query_id: row for row in Assignment.objects.open()}
    assert (rows[old.pk].priority, labels.describe_reason(rows[old.pk])) == (0.125, "It was asked 15 days ago.")
    assert (rows[requeued.pk].priority, labels.describe_reason(rows[requeued.pk])) == (
        1.0,
        "It got worse with release 2.",
    )


def test_the_number_of_reads_is_fixed_and_only_changes_are_written(project: Project, wait: Wait) -> None:
    def reads() -> int:
        with CaptureQueriesContext(connection) as captured:
            priority.update_priorities(project)
        return len(captured)

    wait("Who?"), wait("How?")
    waited = {"asked_at": timezone.now() - timedelta(days=3), "is_evaluation": False}
    project.queries.update(**waited)
    reads()
    few = reads()
    for number in range(12):
        wait(f"Who is it, {number}?")
    project.queries.update(**waited)
    assert reads() > few  # the first time writes
    assert reads() == few
