"""What must never get through: a leak between the splits, and a dataset that teaches the opposite."""

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
from retrieval.index import index_builds
from retrieval.models import Corpus, Passage
from tests.tiny import said, tiny_encoder
from tests.tuning.rounds import go_round
from tuning.datasets import collect
from tuning.evaluation import compare
from tuning.models import Cycle, Evaluation, GuardrailSet

LEARNS = {"roads": ["both"], "both_batch": 16, "both_epochs": 8, "both_lr": 0.005, "lm": 0}
LEARNING = {"retriever": LEARNS, "budget_seconds": 120}


def nobody(done: int, total: int, note: str) -> None:
    """Nobody watches."""


def test_a_paraphrase_on_the_other_side_of_the_split_stops_the_evaluation(
    project: Project, release: Release, settled: list[Query], settle: Callable[..., Query]
) -> None:
    settle("Which bird, then, uses tools?", {"crow": 3}, "A crow.")  # the same keywords as one of the others
    rows = collect.rows(collect.collect(project))
    pair = [row for row in rows if "uses tools" in row.text]
    assert len({row.cluster for row in pair}) == 1  # collecting keeps them together
    planted = {pair[0].query_id: "train", pair[1].query_id: "test"}
    leaking = [replace(row, split=planted.get(row.query_id, row.split)) for row in rows]
    settled_again = list(collect._settled(project))
    dataset = collect._freeze(project, 0, leaking, settled_again)
    cycle = Cycle.objects.create(project=project, dataset=dataset, state=JobState.DONE)
    evaluation = Evaluation.objects.create(
        cycle=cycle, dataset=dataset, champion=release, challenger=lifecycle.next_release(project)
    )
    with pytest.raises(compare.CannotMeasure, match="“Which bird, then, uses tools"):
        compare.evaluate(evaluation, "test", nobody)
    assert evaluation.state == JobState.FAILED


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small layer that hears words and hardly their places, so that questions without a common word are apart."""
    return tiny_encoder(tmp_path_factory.mktemp("words"), hears_places=False)


@pytest.fixture
def words(db: None, encoder: Path, settings: Any) -> Project:
    """60 passages in some words, and a settled question to each in others: nothing but grades says what is meant."""
    settings.TRAINERS = {"retriever": "tuning.engine.retriever.train_retriever"}
    corpus = Corpus.objects.create(slug="words", name="Words")
    offsets = [(0, 7, 19), (0, 4, 11)]
    texts = [[(at + step) % 30 for step in offsets[at // 30]] for at in range(60)]
    sources = [ingest.Source(f"p{at}", "", said(text, 0), {}) for at, text in enumerate(texts)]
    ingest.ingest(corpus, sources, whole=True)
    project = Project.objects.create(slug="words", name="Words", corpus=corpus)
    build = index_builds.build(index_builds.request(corpus, index_builds.encoder_from(str(encoder))), worker="test")
    lifecycle.make_base(project, build)
    found = {passage.document.external_id: passage for passage in corpus.passages.select_related("document")}
    for at, text in enumerate(texts):
        query = Query.objects.create(
            project=project,
            external_id=f"q{at}",
            text=" ".join([said(text[:2] if at % 2 else text[1:], 30)] * 5),
            state=Query.State.SETTLED,
            settled_at=timezone.now(),
        )
        review = Review.objects.create(query=query, state=Review.State.SETTLED)
        for name, grade in ((f"p{at}", 3), (f"p{(at + 1) % 60}", 0)):
            SettledGrade.objects.create(review=review, passage=found[name], grade=grade, method="sole")
    for name in ("general", "closed-book"):  # this encoder knows no English: what it makes of it is chance
        GuardrailSet.objects.create(
            project=project, name=name, origin="built_in", path=name, sha256="", is_active=False
        )
    return project


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_grades_turned_upside_down_are_learned_and_refused_by_the_gate(words: Project) -> None:
    taught = go_round(words, LEARNING)
    assert taught.evaluation.decision.promoted, taught.evaluation.decision.reason
    good = lifecycle.serving(words)
    assert good == taught.challenger
    assert taught.dataset is not None
    unlocked = [row.query_id for row in collect.rows(taught.dataset) if row.split != "test"]
    for grade in SettledGrade.objects.filter(review__query__in=unlocked):
        SettledGrade.objects.filter(pk=grade.pk).update(grade=3 - grade.grade)
    harmed = go_round(words, LEARNING)
    assert not harmed.evaluation.decision.promoted
    assert harmed.evaluation.measures["ndcg@10"]["high"] < 0
    assert "the interval of nDCG@10 does not lie above 0" in harmed.evaluation.decision.reason
    assert lifecycle.serving(words) == good
    assert Passage.objects.filter(corpus=words.corpus).count() == 60
