"""The queue knows why it offers a query."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User

from curation import assigning, judging, valuing, wording
from curation.models import Project, Query, Ranking, Release, ShownPassage
from retrieval.models import Passage

Wait = Callable[..., Query]


def test_a_query_that_others_have_judged_is_worth_more(project: Project, alice: User, wait: Wait) -> None:
    query, sampled = wait(overlap=3), wait(overlap=3, is_evaluation=True)
    wait(overlap=3)
    for one in (query, sampled):
        claimed = assigning.claim(one, alice)
        judging.mark_unanswerable(claimed)
        judging.submit(claimed)
    valuing.revalue(project)
    assert {(row.value > 0.3, wording.why(row)) for row in query.assignments.open()} == {
        (True, "1 of 3 people have judged it.")
    }
    assert not project.assignments.exclude(query=query).filter(value__gt=0).exists()


def test_what_a_newer_build_ranks_and_nobody_judged_is_a_hole(
    project: Project, release: Release, passages: dict[str, Passage], alice: User, wait: Wait
) -> None:
    query = wait(overlap=2)
    query.rankings.update(build=release.build)
    claimed = assigning.claim(query, alice)
    for passage_id in claimed.order:
        judging.record(claimed, passage_id, 1)
    ranking = Ranking.objects.create(query=query, build=release.build)
    for rank, name in enumerate(("lion", "whale"), start=1):
        ShownPassage.objects.create(ranking=ranking, passage=passages[name], rank=rank)
    assert valuing.revalue(project, [query.pk]) == 1
    assert wording.why(query.assignments.open().get()) == "Nobody has judged what build 1 ranks at place 2."
