"""Harm that the evaluation and the gate must stop: a leak between the splits, and inverted grades."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from common.jobs import JobState
from curation.models import Project, Query, Release, Review, SettledGrade
from curation.releases import lifecycle
from retrieval.documents import ingest
from retrieval.index import encoders, index_builds
from retrieval.models import Corpus, Passage
from tests.tiny_models import make_text, tiny_encoder
from tests.tuning.cycle_runner import run_cycle
from tuning.datasets import collect
from tuning.evaluation import compare
from tuning.models import Cycle, Evaluation, GuardrailSet

LEARNS = {"strategies": ["both"], "dual_batch_size": 16, "dual_epochs": 8, "dual_lr": 0.005, "lm_weight": 0}
LEARNING = {"retriever": LEARNS, "budget_seconds": 120}


def ignore_progress(done: int, total: int, note: str) -> None:
    pass


def test_a_paraphrase_on_the_other_side_of_the_split_stops_the_evaluation(
    project: Project, release: Release, settled: list[Query], settle: Callable[..., Query]
) -> None:
    settle("Which bird, then, uses tools?", {"crow": 3}, "A crow.")  # the same keywords as one of the others
    rows = collect.read_rows(collect.build_dataset(project))
    pair = [row for row in rows if "uses tools" in row.text]
    assert len({row.cluster for row in pair}) == 1  # the split keeps them together
    planted = {pair[0].query_id: "train", pair[1].query_id: "test"}
    leaking = [replace(row, split=planted.get(row.query_id, row.split)) for row in rows]
    dataset = collect._freeze(project, 0, leaking, list(collect._settled_queries(project)))
    cycle = Cycle.objects.create(project=project, dataset=dataset, state=JobState.DONE)
    evaluation = Evaluation.objects.create(
        cycle=cycle, dataset=dataset, champion=release, challenger=lifecycle.create_candidate(project)
    )
    with pytest.raises(compare.EvaluationError, match="“Which bird, then, uses tools"):
        compare.evaluate(evaluation, "test", ignore_progress)
    assert evaluation.state == JobState.FAILED


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small layer that reads words and hardly their positions: questions without a common word are far apart."""
    return tiny_encoder(tmp_path_factory.mktemp("words"), has_positions=False)


@pytest.fixture
def words(db: None, encoder: Path, settings: Any) -> Project:
    """60 passages, each with a settled question in other words: only the grades tell which passage answers."""
    settings.TRAINERS = {"retriever": "tuning.engine.retriever.train_retriever"}
    corpus = Corpus.objects.create(slug="words", name="Words")
    offsets = [(0, 7, 19), (0, 4, 11)]
    texts = [[(at + step) % 30 for step in offsets[at // 30]] for at in range(60)]
    sources = [ingest.SourceDocument(f"p{at}", "", make_text(text, 0), {}) for at, text in enumerate(texts)]
    ingest.ingest(corpus, sources, whole=True)
    project = Project.objects.create(slug="words", name="Words", corpus=corpus)
    build = index_builds.build(index_builds.request(corpus, encoders.get_or_create(str(encoder))), worker="test")
    lifecycle.create_base_release(project, build)
    passages = {passage.document.external_id: passage for passage in corpus.passages.select_related("document")}
    for at, text in enumerate(texts):
        query = Query.objects.create(
            project=project,
            external_id=f"q{at}",
            text=" ".join([make_text(text[:2] if at % 2 else text[1:], 30)] * 5),
            state=Query.State.SETTLED,
            settled_at=timezone.now(),
        )
        review = Review.objects.create(query=query, state=Review.State.SETTLED)
        for name, grade in ((f"p{at}", 3), (f"p{(at + 1) % 60}", 0)):
            SettledGrade.objects.create(review=review, passage=passages[name], grade=grade, method="sole")
    for name in ("general", "closed-book"):  # this encoder knows no English: its figures there are chance
        GuardrailSet.objects.create(
            project=project, name=name, origin="built_in", path=name, sha256="", is_active=False
        )
    return project


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_inverted_grades_are_learned_and_the_gate_does_not_promote_them(words: Project) -> None:
    improved = run_cycle(words, LEARNING)
    assert improved.evaluation.decision.promoted, improved.evaluation.decision.reason
    good = lifecycle.live_release(words)
    assert good == improved.challenger
    assert improved.dataset is not None
    unlocked = [row.query_id for row in collect.read_rows(improved.dataset) if row.split != "test"]
    for grade in SettledGrade.objects.filter(review__query__in=unlocked):
        SettledGrade.objects.filter(pk=grade.pk).update(grade=3 - grade.grade)
    harmed = run_cycle(words, LEARNING)
    assert not harmed.evaluation.decision.promoted
    assert harmed.evaluation.measures["ndcg@10"]["high"] < 0
    assert "no significant gain in nDCG@10" in harmed.evaluation.decision.reason
    assert lifecycle.live_release(words) == good
    assert Passage.objects.filter(corpus=words.corpus).count() == 60
