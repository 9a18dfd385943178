"""API of tuning: lineage, datasets, votes, curves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from common.jobs import JobState
from curation.models import Draft, Judgement, Project, Query, Release
from curation.releases import lifecycle
from retrieval.models import Passage
from tests.challengers import create_challenger
from tuning.datasets import collect
from tuning.evaluation import preference_votes
from tuning.models import ComparisonPair, Component, Cycle, Dataset, DatasetQuery, Evaluation, LearningCurve, Run, Vote

Ask = Callable[..., Any]


@pytest.fixture
def ask() -> Ask:
    """A function that requests one URL of the zoo's API as a person, and returns status and body."""

    def request(user: User, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        client = APIClient()
        client.force_authenticate(user)
        url = f"/api/v1/projects/zoo/{path}"
        response = client.get(url) if body is None else client.post(url, body, format="json")
        return response.status_code, response.json()

    return request


@pytest.fixture
def pairs(release: Release, passages: dict[str, Passage]) -> list[ComparisonPair]:
    """Three pairs; the champion always finds the lion, the challenger the tiger."""
    evaluation = create_challenger(release).evaluations.get()
    sides = ({"passages": [passages[name].pk], "answer": f"The {name}."} for name in ("lion", "tiger"))
    one, other = sides
    return [
        ComparisonPair.objects.create(evaluation=evaluation, query=query, champion=one, challenger=other)
        for query in Query.objects.order_by("pk")
    ]


def statements(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as seen:
        work()
    return len(seen)


def test_a_judgement_lists_what_used_it(ask: Ask, alice: User, dataset: Dataset, tuned: Release) -> None:
    judgement = DatasetQuery.objects.filter(dataset=dataset, split="train")[0].judgements.all()[0]
    status, body = ask(alice, f"judgements/{judgement.pk}/lineage/")
    assert (status, body["curator"], body["grade"]) == (200, "alice", judgement.grade)
    usage = body["used_in"]
    assert usage["rows"] == [{"dataset": 1, "sha256": dataset.sha256, "split": "train"}]
    assert [(run["component"], run["dataset"], run["encoder"]) for run in usage["runs"]] == [("generator", 1, None)]
    assert (usage["releases"], usage["answers"]) == ([{"number": 2, "state": "candidate"}], 1)


def test_a_curator_reads_their_own_judgements_only(
    ask: Ask, alice: User, bob: User, erin: User, dataset: Dataset
) -> None:
    judgement = Judgement.objects.all()[0]
    Judgement.objects.filter(pk=judgement.pk).update(curator=bob)
    statuses = {user: ask(user, f"judgements/{judgement.pk}/lineage/")[0] for user in (alice, bob, erin)}
    assert statuses == {alice: 404, bob: 200, erin: 200}


def test_a_release_and_its_answer_lead_back_to_the_judgements(
    ask: Ask, erin: User, dataset: Dataset, tuned: Release
) -> None:
    status, origin = ask(erin, "releases/2/lineage/")
    assert (status, origin["release"], origin["datasets"]) == (200, 2, [1])
    judgements = ask(erin, "releases/2/judgements/")[1]
    assert judgements["count"] == origin["judgements"] > 0
    assert {row["curator"] for row in judgements["results"]} == {"alice"}
    answered = Draft.objects.get().ranking.query
    status, answer = ask(erin, f"queries/{answered.pk}/lineage/")
    assert (status, answer["text"], answer["generator"], answer["origin"]) == (200, "The lion.", "adapted", origin)
    unanswered = Query.objects.exclude(pk=answered.pk)[0]
    assert ask(erin, f"queries/{unanswered.pk}/lineage/")[0] == 404
    base = ask(erin, "releases/1/lineage/")[1]
    assert (base["runs"], base["datasets"], base["judgements"]) == ([], [], 0)


def test_a_dataset_has_its_hash_its_card_and_its_changes(
    ask: Ask, erin: User, project: Project, dataset: Dataset, tuned: Release, settle: Callable[..., Query]
) -> None:
    query = settle("Who has a mane and roars?", {"lion": 3}, "The lion.")
    newer = collect.build_dataset(project)
    listed = ask(erin, "datasets/")[1]["results"]
    assert [(row["number"], row["sha256"]) for row in listed] == [(2, newer.sha256), (1, dataset.sha256)]
    whole = ask(erin, "datasets/1/")[1]
    assert whole["people"] == [{"curator": "alice", "judgements": 30}]
    assert whole["releases"] == [{"number": 2, "state": "candidate"}]
    assert f"| sha256 | `{dataset.sha256}` |" in whole["card"] and "Releases with these weights: 2." in whole["card"]
    status, changes = ask(erin, "datasets/2/changes/")
    assert (status, changes["added"], changes["same"]) == (200, [str(query.pk)], 14)
    assert changes["old"] == {"number": 1, "sha256": dataset.sha256}
    assert ask(erin, "datasets/2/changes/?since=2")[1]["same"] == 15
    assert [ask(erin, f"datasets/{path}")[0] for path in ("1/changes/", "2/changes/?since=7", "7/")] == [404] * 3
    assert ask(erin, "datasets/2/changes/?since=x")[0] == 400
    (collect.dataset_folder(dataset) / collect.ROWS).write_text("")
    status, body = ask(erin, "datasets/2/changes/")
    assert status == 409 and "is not what was written" in body["errors"][0]["detail"]


def test_a_pair_is_blind_before_the_vote_and_the_vote_cannot_be_changed(
    ask: Ask, bob: User, pairs: list[ComparisonPair]
) -> None:
    listed = ask(bob, "side-by-side/?release=2")[1]
    assert (listed["count"], listed["results"][0]) == (3, {"id": pairs[0].pk, "query": "m0", "text": "Who sings?"})
    assert ask(bob, "side-by-side/?release=7")[1]["count"] == 0
    address = f"side-by-side/{pairs[0].pk}/"
    blind = ask(bob, address)[1]
    assert [(side["letter"], side["release"]) for side in blind["sides"]] == [("A", None), ("B", None)]
    assert {side["passages"][0]["passage"] for side in blind["sides"]} == {"lion", "tiger"}
    assert blind["vote"] is None
    assert ask(bob, f"{address}vote/", {"choice": "champion"})[0] == 400
    status, voted = ask(bob, f"{address}vote/", {"choice": "a"})
    first = "champion" if preference_votes.champion_is_a(pairs[0], bob) else "challenger"
    assert (status, voted["vote"]) == (201, first)
    assert [side["release"] for side in voted["sides"]] == ([1, 2] if first == "champion" else [2, 1])
    assert [side["answer"] for side in voted["sides"]] == [side["answer"] for side in blind["sides"]]
    assert ask(bob, address)[1] == voted
    assert ask(bob, f"{address}vote/", {"choice": "b"})[0] == 409
    assert (Vote.objects.get().choice, ask(bob, "side-by-side/")[1]["count"]) == (first, 2)


def test_the_tally_counts_queries_won(ask: Ask, bob: User, erin: User, pairs: list[ComparisonPair]) -> None:
    without_votes = ask(erin, "releases/2/votes/")[1]
    fields = ("against", "pairs", "votes", "sign")
    assert tuple(without_votes[field] for field in fields) == (1, 3, 0, None)
    for pair, choice in zip(pairs, ("challenger", "challenger", "tie"), strict=True):
        Vote.objects.create(pair=pair, voter=bob, choice=choice, champion_was_a=True)
    tally = ask(erin, "releases/2/votes/")[1]
    assert (tally["votes"], tally["people"], tally["ties"], tally["neither"]) == (3, 1, 1, 0)
    assert (tally["sign"]["wins"], tally["sign"]["losses"], tally["sign"]["p"]) == (2, 0, 0.5)  # 2 · (1/2)²
    assert ask(erin, "releases/1/votes/")[1]["against"] is None


def test_a_learning_curve_is_started_and_read(ask: Ask, erin: User, project: Project, release: Release) -> None:
    status, started = ask(erin, "learning-curves/", {"sizes": [20, 10], "minutes": 2})
    assert (status, started["component"], started["sizes"], started["state"]) == (201, "retriever", [10, 20], "queued")
    curve = LearningCurve.objects.get(pk=started["id"])
    assert curve.settings == {"budget_seconds": 120}
    assert ask(erin, "learning-curves/", {})[0] == 409
    assert [ask(erin, "learning-curves/", {"sizes": sizes})[0] for sizes in ([1], "all")] == [400, 400]
    assert ask(erin, f"learning-curves/{curve.pk}/")[1]["gains"] == []
    for queries, value in ((0, 0.1), (10, 0.2), (20, 0.3), (40, 0.4), (80, 0.5)):
        figures = {"grades": 3 * queries, "value": value, "low": value, "high": value, "seconds": 1.0}
        curve.points.append({"queries": queries, **figures, "per_query": {"1": value, "2": value}})
    curve.save()
    body = ask(erin, f"learning-curves/{curve.pk}/")[1]
    assert [point["queries"] for point in body["points"]] == [0, 10, 20, 40, 80]
    assert "per_query" not in body["points"][0]
    assert [round(gain["gain"], 3) for gain in body["gains"]] == [1.0, 1.0, 0.5, 0.25]  # per hundred queries
    assert body["next"]["queries"] == 100 and body["next"]["gain"] > 0
    assert ask(erin, "learning-curves/")[1]["results"][0].keys().isdisjoint({"points", "next"})


def test_the_curves_of_a_training(ask: Ask, erin: User, pairs: list[ComparisonPair]) -> None:
    run = Run.objects.get()
    status, body = ask(erin, f"runs/{run.pk}/curves/")
    assert (status, body["component"], body["state"]) == (200, "retriever", "done")
    assert [(line["kind"], len(line["points"])) for line in body["curves"]] == [("loss", 5), ("dev", 5)]


def test_the_number_of_statements_does_not_grow_with_the_rows(
    ask: Ask,
    bob: User,
    erin: User,
    project: Project,
    dataset: Dataset,
    tuned: Release,
    passages: dict[str, Passage],
    settle: Callable[..., Query],
) -> None:
    judgement = DatasetQuery.objects.filter(dataset=dataset, split="train")[0].judgements.all()[0]
    pair = _pair(tuned, passages)
    LearningCurve.objects.create(
        project=project, dataset=dataset, component="retriever", measure="ndcg@10", state="done"
    )
    paths = {
        erin: [
            f"judgements/{judgement.pk}/lineage/",
            "releases/2/lineage/",
            "releases/2/judgements/",
            "releases/2/votes/",
            f"queries/{Draft.objects.get().ranking.query_id}/lineage/",
            "datasets/",
            "datasets/1/",
            "learning-curves/",
        ],
        bob: ["side-by-side/", f"side-by-side/{pair.pk}/"],
    }

    def counts() -> list[int]:
        return [statements(partial(ask, user, path)) for user, user_paths in paths.items() for path in user_paths]

    before = counts()
    for number in range(3):
        settle(f"Who has {number} manes?", {"lion": 3, "tiger": 1}, "Nobody.")
        later = collect.build_dataset(project)
        for trained_on in (dataset, later):
            cycle = Cycle.objects.create(project=project, dataset=trained_on, state=JobState.DONE)
            fields = {"component": Component.GENERATOR, "generator": tuned.generator, "state": JobState.DONE}
            Run.objects.create(cycle=cycle, dataset=trained_on, **fields)
        lifecycle.create_candidate(project, generator=tuned.generator, fusion_weight=number / 4)
        LearningCurve.objects.create(
            project=project, dataset=later, component="retriever", measure="ndcg@10", state="done"
        )
        user = User.objects.create_user(f"voter {number}")
        Vote.objects.create(pair=_pair(tuned, passages), voter=user, choice="tie", champion_was_a=True)
        Vote.objects.create(pair=pair, voter=user, choice="tie", champion_was_a=True)
    assert counts() == before


def _pair(release: Release, passages: dict[str, Passage]) -> ComparisonPair:
    """Add a pair of another query to the release's evaluation."""
    project = release.project
    query = project.queries.create(external_id=f"p{project.queries.count()}", text="Who is it?")
    evaluation = Evaluation.objects.get(challenger=release)
    side = {"passages": [passages["lion"].pk], "answer": None}
    return ComparisonPair.objects.create(evaluation=evaluation, query=query, champion=side, challenger=side)


def test_the_schema_is_valid_and_complete(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    schema = capsys.readouterr().out
    for path in ("judgements/{id}/lineage/", "datasets/{number}/changes/", "side-by-side/{id}/vote/"):
        assert f"/api/v1/projects/{{slug}}/{path}" in schema
