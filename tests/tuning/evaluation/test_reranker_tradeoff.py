"""A reranker in the loop: trained after the retriever, weighed against the same release without it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from common import artifacts
from common.jobs import JobState
from curation.models import Project, Query, Release, Review, SettledGrade
from curation.queries import query_vectors
from curation.releases import lifecycle, retrieve
from retrieval.documents import ingest
from retrieval.index import index_builds
from retrieval.models import Corpus, Passage, Reranker
from retrieval.search import search
from retrieval.search.results import Hit
from tests.conftest import KEYWORDS
from tests.tiny import said, tiny_encoder, tiny_reranker
from tests.tuning.rounds import go_round
from tuning.datasets import collect
from tuning.evaluation import compare, reranker_tradeoff
from tuning.models import Component, Cycle, Evaluation, Gate, GuardrailSet, Policy, Run
from tuning.promotion import promotion_gate
from tuning.training import training_runs

MARKS = ("ba", "bu")


def nobody(done: int, total: int, note: object) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_reranker(tmp_path_factory.mktemp("reranker"), KEYWORDS)


@pytest.fixture
def evaluation(
    weights: Path, project: Project, release: Release, settled: list[Query], settings: Any, tmp_path: Path
) -> Evaluation:
    """An unmeasured one of a challenger that is the champion with a reranker which knows nothing."""
    shutil.copytree(weights, Path(settings.DATA_DIR) / "rerankers" / tmp_path.name)
    row = Reranker.objects.create(name="tiny", path=f"rerankers/{tmp_path.name}", sha256=artifacts.folder_hash(weights))
    dataset = collect.collect(project)
    cycle = Cycle.objects.create(project=project, dataset=dataset, only=Component.RETRIEVER, state=JobState.DONE)
    Run.objects.create(cycle=cycle, dataset=dataset, component=Component.RETRIEVER, state=JobState.DONE)
    challenger = lifecycle.next_release(project, reranker=row, rerank_share=1.0, rerank_depth=12)
    return Evaluation.objects.create(cycle=cycle, dataset=dataset, champion=release, challenger=challenger)


def weigh(evaluation: Evaluation, *, is_better: bool = True) -> reranker_tradeoff.Found:
    """What ten queries say of a reranker that puts the relevant passage first where it was second, or the reverse."""
    texts = {str(n): "hunts at night" for n in range(10)}
    grades = {name: {"1": 0.0, "2": 3.0} for name in texts}
    ranked = {name: [Hit(1, 1, 1.0), Hit(2, 2, 0.5)] for name in texts}
    turned = {name: [Hit(2, 1, 1.0), Hit(1, 2, 0.5)] for name in texts}
    return reranker_tradeoff.weigh(evaluation, texts, grades, (ranked, turned) if is_better else (turned, ranked))


def test_a_gain_within_the_time_pays(evaluation: Evaluation, project: Project) -> None:
    Policy.objects.create(project=project, max_rerank_ms=1e6)
    found = weigh(evaluation)
    assert found["is_kept"]
    assert found["gain"]["difference"] == pytest.approx(1 - 0.6309, abs=1e-4)  # 1 / log2(3) at the second place
    assert 0 < found["before"] < found["after"] and found["timed"] == 10
    said = str(reranker_tradeoff.told(found))
    assert "The reranker pays for its time and stays." in said
    assert "nDCG@10 0.631 → 1.000 (+0.369; 95 % interval +0.369 to +0.369)" in said
    assert "1000000 ms more are allowed" in said


def test_a_gain_that_takes_too_long_does_not(evaluation: Evaluation, project: Project) -> None:
    Policy.objects.create(project=project, max_rerank_ms=0)
    found = weigh(evaluation)
    assert not found["is_kept"] and found["gain"]["low"] > 0 and found["more"] > 0
    assert "The reranker was left out: it takes more time than it is allowed." in str(reranker_tradeoff.told(found))


def test_no_gain_does_not_however_little_time_it_takes(evaluation: Evaluation, project: Project) -> None:
    Policy.objects.create(project=project, max_rerank_ms=1e6)
    found = weigh(evaluation, is_better=False)
    assert not found["is_kept"]
    assert "left out: against the same release without it, the interval of nDCG@10 does not lie above 0" in str(
        reranker_tradeoff.told(found)
    )


def test_who_asks_for_always_gets_it_unasked(evaluation: Evaluation) -> None:
    evaluation.cycle.gate = Gate.ALWAYS
    found = weigh(evaluation, is_better=False)
    assert found["is_kept"]
    assert "stays without having been asked" in str(reranker_tradeoff.told(found))


def test_a_challenger_without_a_reranker_is_not_weighed() -> None:
    assert reranker_tradeoff.told({}) == ""


def test_one_that_does_not_pay_is_taken_away_and_the_rest_is_measured_without_it(
    evaluation: Evaluation, project: Project, client: Client, erin: User
) -> None:
    compare.evaluate(evaluation, "test", nobody)
    evaluation.refresh_from_db()
    assert evaluation.reranking and not evaluation.reranking["is_kept"]
    assert Release.objects.get(pk=evaluation.challenger_id).reranker is None
    assert evaluation.measures["ndcg@10"]["difference"] == 0  # without it the challenger is the champion
    decision = promotion_gate.decide(evaluation)
    assert "The reranker was left out" in decision.reason and " ms with it" in decision.reason
    assert decision.numbers["reranking"]["most"] == decision.numbers["gate"]["max_rerank_ms"] == 300
    client.force_login(erin)
    page = client.get(reverse("curation:release", args=[project.slug, evaluation.challenger.number]))
    assert "It was left out of the release." in page.content.decode()


def test_pages_say_why_a_release_has_no_reranker(
    evaluation: Evaluation, project: Project, client: Client, erin: User
) -> None:
    cycle, challenger = evaluation.cycle, evaluation.challenger
    Cycle.objects.filter(pk=cycle.pk).update(challenger=challenger)
    Release.objects.filter(pk=challenger.pk).update(reranker=None)
    run = Run.objects.create(cycle=cycle, dataset=cycle.dataset, component=Component.RERANKER, state=JobState.RUNNING)
    client.force_login(erin)

    def pages() -> tuple[str, str]:
        """Of the release and of the cycle."""
        places = [
            reverse("curation:release", args=["zoo", challenger.number]),
            reverse("tuning:cycle", args=["zoo", cycle.pk]),
        ]
        of_release, of_cycle = (client.get(place).content.decode() for place in places)
        return of_release, of_cycle

    assert not any("<dt>Reranker</dt>" in page for page in pages())  # nobody knows yet
    run.record = {"choice": "no reranker", "dev": {"no reranker": 0.75, "reranker": 0.7}}
    Run.objects.filter(pk=run.pk).update(state=JobState.DONE, record=run.record)
    told = "on the dev split the ranking got no better with it (nDCG@10 0.750 without it, 0.700 with it)."
    assert all(told in page for page in pages())
    Run.objects.filter(pk=run.pk).update(state=JobState.FAILED, reason="3 queries are too few.")
    of_release, of_cycle = pages()
    assert "No reranker could be trained: 3 queries are too few." in of_release
    assert "3 queries are too few." in of_cycle
    Run.objects.filter(pk=run.pk).update(state=JobState.DONE, reason="", reranker=evaluation.challenger.reranker)
    Evaluation.objects.update(reranking=weigh(evaluation, is_better=False))
    assert all("The reranker was left out: against the same release without it" in page for page in pages())
    with translation.override("zh-hans"):
        assert "重排器" in str(reranker_tradeoff.without_reranker(Cycle.objects.get(pk=cycle.pk)))


def test_with_always_it_is_measured_in_place(evaluation: Evaluation) -> None:
    Cycle.objects.update(gate=Gate.ALWAYS)
    evaluation.cycle.refresh_from_db()
    compare.evaluate(evaluation, "test", nobody)
    assert Release.objects.get(pk=evaluation.challenger_id).reranker is not None
    gain, measured = evaluation.reranking["gain"], evaluation.measures["ndcg@10"]
    assert (gain["champion"], gain["challenger"]) == (measured["champion"], measured["challenger"])
    assert gain["difference"] != 0


def test_settings_ask_for_one_and_lose_nothing_else() -> None:
    assert training_runs.with_reranker({}, False) == {}
    asked = training_runs.with_reranker({"reranker": {"epochs": 3}, "budget_seconds": 9}, True)
    assert asked == {"reranker": {"epochs": 3, "enabled": True}, "budget_seconds": 9}
    assert training_runs.wants_reranker(asked) and not training_runs.wants_reranker(
        training_runs.with_reranker(asked, False)
    )


@pytest.fixture
def marked(db: None, tmp_path: Path, settings: Any) -> Project:
    """60 passages, half with one mark and half with another; only people know which mark is the good one.

    They graded what the release found first for each of 60 questions.
    """
    settings.TRAINERS = {"retriever": "tests.tuning.trainer", "reranker": "tuning.engine.reranker.train_reranker"}
    corpus = Corpus.objects.create(slug="words", name="Words")
    offsets = [(0, 7, 19), (0, 4, 11)]
    words = [[(at + step) % 30 for step in offsets[at // 30]] for at in range(60)]
    texts = [f"{said(some, 2)} {' '.join([MARKS[at % 2]] * 3)}" for at, some in enumerate(words)]
    ingest.ingest(corpus, [ingest.Source(f"p{at}", "", text, {}) for at, text in enumerate(texts)], whole=True)
    project = Project.objects.create(slug="words", name="Words", corpus=corpus)
    encoder = index_builds.encoder_from(str(tiny_encoder(tmp_path, hears_places=False)))
    build = index_builds.build(index_builds.request(corpus, encoder), worker="test")
    release = lifecycle.make_base(project, build)
    passages = Passage.objects.in_bulk()
    for at, some in enumerate(words):
        text = " ".join([said(some[:2] if at % 2 else some[1:], 30)] * 5)
        query = Query.objects.create(
            project=project,
            external_id=f"q{at}",
            text=text,
            state=Query.State.SETTLED,
            settled_at=timezone.now(),
        )
        review = Review.objects.create(query=query, state=Review.State.SETTLED)
        for hit in retrieve.search(release, text, 20):
            grade = 3 if MARKS[0] in passages[hit.passage_id].text.split() else 0
            SettledGrade.objects.create(review=review, passage_id=hit.passage_id, grade=grade, method="sole")
    for name in ("general", "closed-book"):  # this encoder knows no English: what it makes of it is chance
        GuardrailSet.objects.create(
            project=project, name=name, origin="built_in", path=name, sha256="", is_active=False
        )
    return project


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_cycle_trains_one_measures_it_and_serves_with_it(marked: Project, client: Client) -> None:
    Policy.objects.create(project=marked, max_rerank_ms=1e6)
    learns = {"enabled": True, "lr": 0.005, "epochs": 12, "max_tokens": 48, "mined": 0}
    cycle = go_round(marked, {"reranker": learns, "budget_seconds": 120})
    run = cycle.runs.get(component=Component.RERANKER)
    assert run.state == JobState.DONE and run.reranker is not None, run.record
    assert "enabled" not in run.settings["settings"]
    assert run.parent_encoder == query_vectors.first_encoder(marked)
    weighed = cycle.evaluation.reranking
    assert weighed["is_kept"] and weighed["gain"]["low"] > 0, (weighed, run.record)
    assert cycle.evaluation.decision.promoted, cycle.evaluation.decision.reason
    assert "The reranker pays for its time and stays." in cycle.evaluation.decision.reason
    now = lifecycle.serving(marked)
    assert (now.reranker, now.rerank_depth) == (run.reranker, 20)
    assert retrieve.search(now, "ba de", 5) != retrieve.search(retrieve.plain(now), "ba de", 5)
    erin = User.objects.create_superuser("erin")
    client.force_login(erin)
    page = client.get(reverse("tuning:run", args=[marked.slug, run.pk])).content.decode()
    assert "It stays in the release." in page and "tiny" not in page and str(run.reranker) in page
    assert client.get(reverse("tuning:weights", args=[marked.slug, run.pk, "trained"])).status_code == 200
    without = go_round(marked, {"retriever": {"mark": "second"}})  # carried over, and weighed again
    assert without.challenger is not None and without.evaluation.reranking["is_kept"]
    assert without.runs.count() == 1 and without.challenger.reranker == run.reranker


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_one_that_cannot_learn_ends_no_cycle(
    project: Project, release: Release, settled: list[Query], settings: Any
) -> None:
    settings.TRAINERS = {"retriever": "tests.tuning.trainer", "reranker": "tuning.engine.reranker.train_reranker"}
    cycle = go_round(project, {"reranker": {"enabled": True, "least_queries": 500}})
    run = cycle.runs.get(component=Component.RERANKER)
    assert run.state == JobState.FAILED and "the reranker needs 500" in run.reason
    assert cycle.challenger is not None and cycle.challenger.reranker is None
    assert cycle.evaluation.reranking == {}
    search.close_all()
