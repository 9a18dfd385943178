"""A reranker in a training cycle: trained after the retriever, compared with the same release without it."""

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
from retrieval.index import encoders, index_builds
from retrieval.models import Corpus, Passage, Reranker
from retrieval.search import search
from retrieval.search.results import Hit
from tests.conftest import KEYWORDS
from tests.tiny_models import make_text, tiny_encoder, tiny_reranker
from tests.tuning.cycle_runner import run_cycle
from tuning.datasets import collect
from tuning.evaluation import compare, reranker_tradeoff
from tuning.models import Component, Cycle, Evaluation, Gate, GuardrailSet, Policy, Run
from tuning.promotion import promotion_gate
from tuning.training import training_runs

MARKS = ("ba", "bu")


def ignore_progress(done: int, total: int, note: object) -> None:
    pass


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_reranker(tmp_path_factory.mktemp("reranker"), KEYWORDS)


@pytest.fixture
def evaluation(
    weights: Path, project: Project, release: Release, settled: list[Query], settings: Any, tmp_path: Path
) -> Evaluation:
    """An evaluation without measures; the challenger is the champion with an untrained reranker."""
    shutil.copytree(weights, Path(settings.DATA_DIR) / "rerankers" / tmp_path.name)
    row = Reranker.objects.create(name="tiny", path=f"rerankers/{tmp_path.name}", sha256=artifacts.folder_hash(weights))
    dataset = collect.build_dataset(project)
    cycle = Cycle.objects.create(project=project, dataset=dataset, only=Component.RETRIEVER, state=JobState.DONE)
    Run.objects.create(cycle=cycle, dataset=dataset, component=Component.RETRIEVER, state=JobState.DONE)
    challenger = lifecycle.create_candidate(project, reranker=row, rerank_share=1.0, rerank_depth=12)
    return Evaluation.objects.create(cycle=cycle, dataset=dataset, champion=release, challenger=challenger)


def measure_tradeoff(evaluation: Evaluation, *, is_better: bool = True) -> reranker_tradeoff.Tradeoff:
    """Ten queries; the reranker puts the relevant passage first instead of second, or the other way round."""
    texts = {str(n): "hunts at night" for n in range(10)}
    grades = {name: {"1": 0.0, "2": 3.0} for name in texts}
    relevant_second = {name: [Hit(1, 1, 1.0), Hit(2, 2, 0.5)] for name in texts}
    relevant_first = {name: [Hit(2, 1, 1.0), Hit(1, 2, 0.5)] for name in texts}
    rankings = (relevant_second, relevant_first) if is_better else (relevant_first, relevant_second)
    return reranker_tradeoff.measure_tradeoff(evaluation, texts, grades, rankings)


def test_a_reranker_with_a_gain_within_the_latency_limit_is_kept(evaluation: Evaluation, project: Project) -> None:
    Policy.objects.create(project=project, max_rerank_ms=1e6)
    tradeoff = measure_tradeoff(evaluation)
    assert tradeoff["is_kept"]
    assert tradeoff["gain"]["difference"] == pytest.approx(1 - 0.6309, abs=1e-4)  # 1 / log2(3) at rank 2
    assert 0 < tradeoff["ms_without"] < tradeoff["ms_with"] and tradeoff["timed_queries"] == 10
    text = str(reranker_tradeoff.tradeoff_message(tradeoff))
    assert "The reranker is kept: the gain is significant and the latency is within the limit." in text
    assert "nDCG@10 0.631 → 1.000 (+0.369; 95 % interval +0.369 to +0.369)" in text
    assert "the limit is 1000000 ms" in text


def test_a_reranker_above_the_latency_limit_is_left_out(evaluation: Evaluation, project: Project) -> None:
    Policy.objects.create(project=project, max_rerank_ms=0)
    tradeoff = measure_tradeoff(evaluation)
    assert not tradeoff["is_kept"] and tradeoff["gain"]["low"] > 0 and tradeoff["ms_added"] > 0
    text = str(reranker_tradeoff.tradeoff_message(tradeoff))
    assert "The reranker was left out: the latency is above the limit." in text


def test_a_fast_reranker_without_a_gain_is_left_out(evaluation: Evaluation, project: Project) -> None:
    Policy.objects.create(project=project, max_rerank_ms=1e6)
    tradeoff = measure_tradeoff(evaluation, is_better=False)
    assert not tradeoff["is_kept"]
    assert "left out: no significant gain in nDCG@10 against the same release without it" in str(
        reranker_tradeoff.tradeoff_message(tradeoff)
    )


def test_with_always_the_reranker_is_kept_without_a_check(evaluation: Evaluation) -> None:
    evaluation.cycle.gate = Gate.ALWAYS
    tradeoff = measure_tradeoff(evaluation, is_better=False)
    assert tradeoff["is_kept"]
    assert "its trade-off was not checked" in str(reranker_tradeoff.tradeoff_message(tradeoff))


def test_a_challenger_without_a_reranker_has_no_tradeoff() -> None:
    assert reranker_tradeoff.tradeoff_message({}) == ""


def test_the_tradeoff_of_an_earlier_version_is_read_under_its_old_keys(evaluation: Evaluation) -> None:
    tradeoff = measure_tradeoff(evaluation, is_better=False)
    old_keys = {"ms_without": "before", "ms_with": "after", "ms_added": "more", "max_ms": "most"}
    old_keys |= {"timed_queries": "timed", "is_gated": "asked"}
    evaluation.reranking = {old_keys.get(key, key): value for key, value in tradeoff.items()}
    assert evaluation.tradeoff == tradeoff
    assert "left out" in str(reranker_tradeoff.tradeoff_message(evaluation.tradeoff))


def test_a_reranker_that_does_not_pay_is_removed_and_the_challenger_is_measured_without_it(
    evaluation: Evaluation, project: Project, client: Client, erin: User
) -> None:
    compare.evaluate(evaluation, "test", ignore_progress)
    evaluation.refresh_from_db()
    assert evaluation.reranking and not evaluation.reranking["is_kept"]
    assert Release.objects.get(pk=evaluation.challenger_id).reranker is None
    assert evaluation.measures["ndcg@10"]["difference"] == 0  # without it the challenger is the champion
    decision = promotion_gate.decide(evaluation)
    assert "The reranker was left out" in decision.reason and " ms with it" in decision.reason
    assert decision.numbers["reranking"]["max_ms"] == decision.numbers["gate"]["max_rerank_ms"] == 300
    client.force_login(erin)
    page = client.get(reverse("curation:release", args=[project.slug, evaluation.challenger.number]))
    assert "Left out of the release" in page.content.decode()


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

    assert not any("<dt>Reranker</dt>" in page for page in pages())  # it is not known yet
    run.record = {"choice": "no reranker", "dev": {"no reranker": 0.75, "reranker": 0.7}}
    Run.objects.filter(pk=run.pk).update(state=JobState.DONE, record=run.record)
    reason = "it does not improve the ranking of the dev split (nDCG@10 0.750 without it, 0.700 with it)."
    assert all(reason in page for page in pages())
    Run.objects.filter(pk=run.pk).update(state=JobState.FAILED, reason="3 queries are too few.")
    of_release, of_cycle = pages()
    assert "The reranker could not be trained: 3 queries are too few." in of_release
    assert "3 queries are too few." in of_cycle
    Run.objects.filter(pk=run.pk).update(state=JobState.DONE, reason="", reranker=evaluation.challenger.reranker)
    Evaluation.objects.update(reranking=measure_tradeoff(evaluation, is_better=False))
    assert all("The reranker was left out: no significant gain in nDCG@10" in page for page in pages())
    with translation.override("zh-hans"):
        assert "重排序器" in str(reranker_tradeoff.reason_without_reranker(Cycle.objects.get(pk=cycle.pk)))


def test_with_always_the_challenger_is_measured_with_its_reranker(evaluation: Evaluation) -> None:
    Cycle.objects.update(gate=Gate.ALWAYS)
    evaluation.cycle.refresh_from_db()
    compare.evaluate(evaluation, "test", ignore_progress)
    assert Release.objects.get(pk=evaluation.challenger_id).reranker is not None
    gain, measured = evaluation.reranking["gain"], evaluation.measures["ndcg@10"]
    assert (gain["champion"], gain["challenger"]) == (measured["champion"], measured["challenger"])
    assert gain["difference"] != 0


def test_enabling_the_reranker_keeps_the_other_settings() -> None:
    assert training_runs.with_reranker({}, False) == {}
    enabled = training_runs.with_reranker({"reranker": {"epochs": 3}, "budget_seconds": 9}, True)
    assert enabled == {"reranker": {"epochs": 3, "enabled": True}, "budget_seconds": 9}
    assert training_runs.is_reranker_enabled(enabled)
    assert not training_runs.is_reranker_enabled(training_runs.with_reranker(enabled, False))


@pytest.fixture
def marked(db: None, tmp_path: Path, settings: Any) -> Project:
    """60 passages, half with one mark and half with another; only the grades tell which mark is relevant.

    The first passages of the release's rankings of 60 questions are graded.
    """
    settings.TRAINERS = {"retriever": "tests.tuning.trainer", "reranker": "tuning.engine.reranker.train_reranker"}
    corpus = Corpus.objects.create(slug="words", name="Words")
    offsets = [(0, 7, 19), (0, 4, 11)]
    words = [[(at + step) % 30 for step in offsets[at // 30]] for at in range(60)]
    texts = [f"{make_text(passage_words, 2)} {' '.join([MARKS[at % 2]] * 3)}" for at, passage_words in enumerate(words)]
    ingest.ingest(corpus, [ingest.SourceDocument(f"p{at}", "", text, {}) for at, text in enumerate(texts)], whole=True)
    project = Project.objects.create(slug="words", name="Words", corpus=corpus)
    encoder = encoders.get_or_create(str(tiny_encoder(tmp_path, has_positions=False)))
    build = index_builds.build(index_builds.request(corpus, encoder), worker="test")
    release = lifecycle.create_base_release(project, build)
    passages = Passage.objects.in_bulk()
    for at, passage_words in enumerate(words):
        text = " ".join([make_text(passage_words[:2] if at % 2 else passage_words[1:], 30)] * 5)
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
    for name in ("general", "closed-book"):  # this encoder knows no English: its figures there are chance
        GuardrailSet.objects.create(
            project=project, name=name, origin="built_in", path=name, sha256="", is_active=False
        )
    return project


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_cycle_trains_a_reranker_measures_it_and_promotes_a_release_with_it(marked: Project, client: Client) -> None:
    Policy.objects.create(project=marked, max_rerank_ms=1e6)
    learns = {"enabled": True, "lr": 0.005, "epochs": 12, "max_tokens": 48, "mined": 0}
    cycle = run_cycle(marked, {"reranker": learns, "budget_seconds": 120})
    run = cycle.runs.get(component=Component.RERANKER)
    assert run.state == JobState.DONE and run.reranker is not None, run.record
    assert "enabled" not in run.settings["settings"]
    assert run.parent_encoder == query_vectors.first_encoder(marked)
    tradeoff = cycle.evaluation.reranking
    assert tradeoff["is_kept"] and tradeoff["gain"]["low"] > 0, (tradeoff, run.record)
    assert cycle.evaluation.decision.promoted, cycle.evaluation.decision.reason
    assert "The reranker is kept" in cycle.evaluation.decision.reason
    now = lifecycle.live_release(marked)
    assert (now.reranker, now.rerank_depth) == (run.reranker, 20)
    assert retrieve.search(now, "ba de", 5) != retrieve.search(retrieve.without_reranker(now), "ba de", 5)
    erin = User.objects.create_superuser("erin")
    client.force_login(erin)
    page = client.get(reverse("tuning:run", args=[marked.slug, run.pk])).content.decode()
    assert "Kept in the release" in page and "tiny" not in page and str(run.reranker) in page
    assert client.get(reverse("tuning:weights", args=[marked.slug, run.pk, "trained"])).status_code == 200
    without = run_cycle(marked, {"retriever": {"mark": "second"}})  # the reranker is carried over and measured again
    assert without.challenger is not None and without.evaluation.reranking["is_kept"]
    assert without.runs.count() == 1 and without.challenger.reranker == run.reranker


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_reranker_that_cannot_be_trained_does_not_fail_the_cycle(
    project: Project, release: Release, settled: list[Query], settings: Any
) -> None:
    settings.TRAINERS = {"retriever": "tests.tuning.trainer", "reranker": "tuning.engine.reranker.train_reranker"}
    cycle = run_cycle(project, {"reranker": {"enabled": True, "least_queries": 500}})
    run = cycle.runs.get(component=Component.RERANKER)
    assert run.state == JobState.FAILED and "the reranker needs 500" in run.reason
    assert cycle.challenger is not None and cycle.challenger.reranker is None
    assert cycle.evaluation.reranking == {}
    search.close_all()
