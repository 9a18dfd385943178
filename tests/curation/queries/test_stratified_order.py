"""The random order: even over the strata, random within each, and uniform for the evaluation sample."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from curation.annotation import assignments, claims
from curation.engine.statistics import sampling
from curation.models import Assignment, Membership, Project, Query
from curation.queries import evaluation_sample, intake
from retrieval.models import Passage
from retrieval.search.results import Hit

SHARES = {"lion": 100, "tiger": 60, "zebra": 30, "panda": 10}


def _receive(
    project: Project, passages: Mapping[str, Passage], names: list[str], sampled: frozenset[int] = frozenset()
) -> list[Query]:
    """Queries whose best passage is of these documents, taken in together."""
    start = project.queries.count()
    queries = Query.objects.bulk_create(
        Query(
            project=project,
            external_id=f"p{start + number}",
            text=f"{start + number}?",
            is_evaluation=number in sampled,
        )
        for number in range(len(names))
    )
    intake.freeze_hits(queries, None, [[Hit(passages[name].pk, 1, 1.0)] for name in names])
    assignments.create_open(project, queries)
    return queries


@pytest.fixture
def _no_evaluation_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_sample, "EVALUATION_SHARE", 0.0)


def test_the_keys_of_a_stratum_are_evenly_spread_however_many_come() -> None:
    places = [sampling.stratified_key("zoo\nlion", number) for number in range(200)]
    assert all(0 <= place < 1 for place in places)
    for count in (10, 50, 200):
        for share in (0.1, 0.35, 0.5, 0.9):
            assert abs(sum(place < share for place in places[:count]) - share * count) <= 2
    starts = [sampling.stratified_key(f"s{number}", 0) for number in range(2000)]
    assert sum(starts) / len(starts) == pytest.approx(0.5, abs=0.02)


@pytest.mark.usefixtures("_no_evaluation_sample")
def test_every_stretch_of_the_queue_holds_each_stratum_in_its_share(
    project: Project, passages: dict[str, Passage]
) -> None:
    random.seed(3)
    names = [name for name, count in SHARES.items() for _number in range(count)]
    random.shuffle(names)
    for start in range(0, len(names), 50):  # they come in four imports
        _receive(project, passages, names[start : start + 50])
    order = list(Assignment.objects.order_by("random_key").values_list("query__stratum", flat=True))
    assert len(order) == 200
    for done in (20, 50, 100, 150):
        head = Counter(order[:done])
        for name, count in SHARES.items():
            assert abs(head[name] - count * done / 200) <= 3, (done, name)


def test_the_evaluation_sample_is_claimed_at_random_whatever_the_priority_of_its_stratum(
    project: Project, passages: dict[str, Passage], alice: User
) -> None:
    """Half of the queue is claimed, with the panda at the front by priority: the claimed sample is still a fair one.

    Of 40 sampled queries, about 20 of the panda, each is drawn or not with the same chance: the pandas among the n
    drawn follow a hypergeometric distribution, and three standard deviations hold 99.7 % of it. The seed is fixed.
    """
    random.seed(11)
    names = ["panda" if number % 2 else "lion" for number in range(100)]
    queries = _receive(project, passages, names, frozenset(range(40)))
    pandas = [query for query in queries if query.stratum == "panda"]
    moved = sum(assignments.set_priority(query, 1.0, []) for query in pandas)
    sampled = {query.pk: query.stratum for query in queries if query.is_evaluation}
    assert moved == len(pandas) - sum(stratum == "panda" for stratum in sampled.values())
    rows = []
    for _number in range(len(queries) // 2):
        claimed = claims.claim_next(project, alice)
        assert claimed is not None
        rows.append(claimed)
        claims.skip(claimed)
    member = Membership.objects.get(user=alice)
    assert member.claims == len(rows) and member.random_claims * 2 >= member.claims
    of_sample = [one for one in rows if one.query_id in sampled]
    assert {one.selection for one in of_sample} == {Assignment.Selection.RANDOM}
    panda_count = sum(sampled[one.query_id] == "panda" for one in of_sample)
    share = sum(stratum == "panda" for stratum in sampled.values()) / len(sampled)
    n, total = len(of_sample), len(sampled)
    spread = (n * share * (1 - share) * (total - n) / (total - 1)) ** 0.5
    assert n > 10 and abs(panda_count - n * share) <= 3 * spread
    by_priority = [one for one in rows if one.selection == Assignment.Selection.PRIORITY]
    assert by_priority and {one.query.stratum for one in by_priority} == {"panda"}


def test_a_claim_takes_as_many_statements_with_many_assignments_as_with_few(
    project: Project, passages: dict[str, Passage], alice: User, bob: User
) -> None:
    counts = []
    for person, more in ((alice, 5), (bob, 80)):
        _receive(project, passages, ["lion", "crow"] * more)
        with CaptureQueriesContext(connection) as captured:
            assert claims.claim_next(project, person) is not None
        counts.append(len(captured))
    assert counts[0] == counts[1]
