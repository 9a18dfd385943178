"""The complete loop: queries are judged and settled, and the retriever and the generator are trained on them.

Everything is real: the small encoder and generator that install as packages, FAISS, Celery and its broker, the
database. Only the data is small: a dozen passages, a few training steps.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from common.jobs import JobState, enqueue
from curation.annotation import claims, judgements
from curation.models import Project, Query, Ranking
from curation.queries import drafts, intake
from curation.releases import lifecycle
from retrieval.index import encoders, index_builds
from retrieval.models import Corpus, Passage
from retrieval.search import search
from tests.tuning.conftest import ZOO_QUERIES
from tuning import tasks
from tuning.cycles import training_cycle
from tuning.datasets import collect
from tuning.evaluation import guardrails
from tuning.models import Component, Cycle, DatasetQuery, Gate

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

SMALL_TRAININGS = {
    "retriever": {"strategies": ["both"], "dual_batch_size": 4, "dual_epochs": 1},
    "generator": {"max_steps": 2, "evaluations": 1, "max_dev_instances": 2, "batch_size": 4},
    "score_seconds": 30,
}


def judge(query: Query, grades: dict[str, int], answer: str, passages: dict[str, Passage], curator: User) -> None:
    """One person's work on one query, through the same acts as the page."""
    assignment = claims.claim(query, curator)
    for shown in assignment.ranking.shown.all():  # type: ignore[union-attr]
        judgements.record(assignment, shown.passage_id, grades.get(shown.passage.external_id, 0))
    if answer:
        judgements.write_answer(assignment, answer)
    else:
        judgements.mark_unanswerable(assignment)
    judgements.submit(assignment)


def test_a_query_goes_through_the_complete_loop(
    project: Project,
    corpus: Corpus,
    passages: dict[str, Passage],
    alice: User,
    start_worker: Callable[..., subprocess.Popen[bytes]],
    until: Callable[..., None],
) -> None:
    build = index_builds.build(index_builds.request(corpus, encoders.default_encoder()), worker="test")
    base = lifecycle.create_base_release(project, build)
    for number, (text, (grades, answer)) in enumerate(ZOO_QUERIES.items(), start=1):
        # the ids decide which queries are held out: random ids would sometimes leave too few to train on
        judge(intake.ask(project, text, external_id=f"q{number}"), grades, answer, passages, alice)
    judge(intake.ask(project, "Who paints the fences?", external_id="keeper"), {}, "The keeper.", passages, alice)
    assert project.queries.settled().count() == len(ZOO_QUERIES) + 1
    intake.ask(project, "Which animal hunts and sleeps?", external_id="open")  # of the stratum of the first query

    guardrails.list_sets(project)
    # eighty more answers, which test_guardrails has
    project.guardrail_sets.filter(name="closed-book").update(is_active=False)
    cycle = training_cycle.start(project, gate=Gate.ALWAYS, settings=SMALL_TRAININGS)
    start_worker()
    enqueue(tasks.advance, cycle.pk)
    over = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
    until(lambda: Cycle.objects.get(pk=cycle.pk).state in over, 500, "the end of the cycle")
    cycle.refresh_from_db()
    assert cycle.state == JobState.DONE, cycle.reason

    retriever, generator = cycle.runs.get(component=Component.RETRIEVER), cycle.runs.get(component=Component.GENERATOR)
    assert retriever.record["supervision"]["code"] == "taught_by_both" and retriever.encoder is not None
    assert retriever.record["supervision"]["args"] == {"n": 1, "of": 1}  # the query without a relevant passage
    scored = project.queries.filter(disagreement__range=(0, 1)).values_list("stratum", flat=True)
    assert project.queries.get(external_id="open").stratum in scored  # for the priority of open queries
    assert generator.generator is not None and generator.generator.parent == base.generator
    assert {"ndcg@10", "f1"} <= cycle.evaluation.measures.keys()
    now = lifecycle.live_release(project)
    assert (now, now.previous) == (cycle.challenger, base)
    assert cycle.evaluation.decision.promoted

    # a new query is answered by the new release, and every row of its dataset leads back to Alice
    assert cycle.dataset is not None
    again = intake.ask(project, "Which animal eats bamboo all day?")
    ranking = Ranking.objects.get(query=again)
    assert (ranking.build, ranking.release) == (now.build, now)
    assert drafts.write_draft(ranking).generator == generator.generator
    judged_by_alice = DatasetQuery.objects.filter(dataset=cycle.dataset, judgements__curator=alice).distinct()
    assert judged_by_alice.count() == len(collect.read_rows(cycle.dataset))

    assert lifecycle.roll_back(project) == base
    assert search.search(lifecycle.live_release(project).build, "bamboo", 3)
