"""The queue knows why it offers a query."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from curation.annotation import assignments, judgements, priority
from curation.core import labels
from curation.models import Assignment, Project, Query, Ranking, Release, ShownPassage
from retrieval.models import Passage

Wait = Callable[..., Query]


def test_a_query_that_others_have_judged_is_worth_more(project: Project, alice: User, wait: Wait) -> None:
    query, sampled = wait("Who?", overlap=3), wait("How?", overlap=3, is_evaluation=True)
    wait("Why?", overlap=3)
    for one in (query, sampled):
        claimed = assignments.claim(one, alice)
        judgements.mark_unanswerable(claimed)
        judgements.submit(claimed)
    priority.revalue(project)
    assert {(row.priority > 0.3, labels.why(row)) for row in query.assignments.open()} == {
        (True, "1 of 3 people have judged it.")
    }
    assert not project.assignments.exclude(query=query).filter(priority__gt=0).exists()


def test_what_a_newer_build_ranks_and_nobody_judged_is_a_hole(
    project: Project, release: Release, passages: dict[str, Passage], alice: User, wait: Wait
) -> None:
    query = wait(overlap=2)
    query.rankings.update(build=release.build)
    claimed = assignments.claim(query, alice)
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, 1)
    ranking = Ranking.objects.create(query=query, build=release.build)
    for rank, name in enumerate(("lion", "whale"), start=1):
        ShownPassage.objects.create(ranking=ranking, passage=passages[name], rank=rank)
    assert priority.revalue(project, [query.pk]) == 1
    assert labels.why(query.assignments.open().get()) == "Nobody has judged what build 1 ranks at place 2."


def test_what_is_asked_again_is_worth_more_once(project: Project, alice: User, wait: Wait) -> None:
    first, again, other = wait("Who sleeps?"), wait("who sleeps"), wait("Who swims?")
    project.queries.update(is_evaluation=False)
    priority.revalue(project)
    value = {row.query_id: (row.priority, labels.why(row)) for row in Assignment.objects.open()}
    assert value[first.pk] == (0.25, "It was asked 2 times.")
    assert value[again.pk] == value[other.pk] == (0, "")
    Query.objects.filter(pk=again.pk).update(state=Query.State.SETTLED)
    priority.revalue(project, [first.pk])
    assert Assignment.objects.open().get(query=first).priority == 0  # the other's answer serves


def test_people_who_disagree_before_the_last_has_judged_move_a_query_up(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait(overlap=3, shown="lion")
    project.queries.update(is_evaluation=False)
    for person, grade in ((alice, 0), (bob, 3)):
        claimed = assignments.claim(query, person)
        judgements.record(claimed, claimed.order[0], grade)
        judgements.submit(claimed)
    priority.revalue(project)
    left = query.assignments.open().get()
    assert left.priority == pytest.approx(1 + 2 / 3, abs=0.001)
    assert labels.why(left) == "Two people's grades of one passage lie 3 apart."


def test_what_has_waited_long_moves_up_and_a_persons_wish_is_not_moved_back(project: Project, wait: Wait) -> None:
    old, wished = wait("Who hunts?"), wait("Who sings?")
    project.queries.update(is_evaluation=False, asked_at=timezone.now() - timedelta(days=15, hours=1))
    assignments.prefer(Query.objects.get(pk=wished.pk), 1.0, [labels.because("worse", release=2)])
    priority.revalue(project)
    rows = {row.query_id: row for row in Assignment.objects.open()}
    assert (rows[old.pk].priority, labels.why(rows[old.pk])) == (0.125, "It was asked 15 days ago.")
    assert (rows[wished.pk].priority, labels.why(rows[wished.pk])) == (1.0, "It got worse with release 2.")


def test_valuing_reads_as_often_for_many_queries_as_for_few_and_writes_what_changed(
    project: Project, wait: Wait
) -> None:
    def reads() -> int:
        with CaptureQueriesContext(connection) as asked:
            priority.revalue(project)
        return len(asked)

    wait("Who?"), wait("How?")
    lain = {"asked_at": timezone.now() - timedelta(days=3), "is_evaluation": False}
    project.queries.update(**lain)
    reads()
    few = reads()
    for number in range(12):
        wait(f"Who is it, {number}?")
    project.queries.update(**lain)
    assert reads() > few  # the first time writes
    assert reads() == few
