"""The loop turns: questions are asked, judged and settled by people, and the retriever and the generator learn from it.

Everything is real: the small encoder and generator that install as packages, FAISS, Celery and its broker, the
database. Only the work is little: a dozen passages, a few steps.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from common.jobs import JobState, enqueue
from curation.annotation import assignments, judgements
from curation.models import Project, Query, Ranking
from curation.queries import intake
from curation.releases import lifecycle
from retrieval.index import index_builds
from retrieval.models import Corpus, Passage
from retrieval.search import search
from tests.tuning.conftest import ASKED
from tuning import tasks
from tuning.cycles import training_cycle
from tuning.datasets import collect
from tuning.evaluation import guardrails
from tuning.models import Component, Cycle, DatasetQuery, Gate

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

LITTLE = {
    "retriever": {"roads": ["both"], "both_batch": 4, "both_epochs": 1},
    "generator": {"most_steps": 2, "looks": 1, "dev_instances": 2, "batch": 4},
    "score_seconds": 30,
}


def judge(query: Query, grades: dict[str, int], answer: str, passages: dict[str, Passage], curator: User) -> None:
    """One person's work on one query, through the same acts as the page."""
    assignment = assignments.claim(query, curator)
    for shown in assignment.ranking.shown.all():  # type: ignore[union-attr]
        judgements.record(assignment, shown.passage_id, grades.get(shown.passage.external_id, 0))
    if answer:
        judgements.write_answer(assignment, answer)
    else:
        judgements.mark_unanswerable(assignment)
    judgements.submit(assignment)


def test_a_question_goes_all_the_way_round(
    project: Project,
    corpus: Corpus,
    passages: dict[str, Passage],
    alice: User,
    start_worker: Callable[..., subprocess.Popen[bytes]],
    until: Callable[..., None],
) -> None:
    build = index_builds.build(index_builds.request(corpus, index_builds.encoder_from_settings()), worker="test")
    base = lifecycle.make_base(project, build)
    for number, (text, (grades, answer)) in enumerate(ASKED.items(), start=1):
        # by their ids some are held out for evaluation: ids of chance would leave too few to learn from now and then
        judge(intake.ask(project, text, external_id=f"q{number}"), grades, answer, passages, alice)
    judge(intake.ask(project, "Who paints the fences?", external_id="keeper"), {}, "The keeper.", passages, alice)
    assert project.queries.settled().count() == len(ASKED) + 1
    intake.ask(project, "Which animal hunts and sleeps?", external_id="open")  # of the first one's subject

    guardrails.sets_of(project)
    project.guardrail_sets.filter(name="closed-book").update(
        is_active=False
    )  # eighty more answers; test_guarding has them
    cycle = training_cycle.start(project, gate=Gate.ALWAYS, settings=LITTLE)
    start_worker()
    enqueue(tasks.advance, cycle.pk)
    over = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
    until(lambda: Cycle.objects.get(pk=cycle.pk).state in over, 500, "the end of the cycle")
    cycle.refresh_from_db()
    assert cycle.state == JobState.DONE, cycle.reason

    retriever, generator = cycle.runs.get(component=Component.RETRIEVER), cycle.runs.get(component=Component.GENERATOR)
    assert retriever.record["taught_by"]["code"] == "taught_by_both" and retriever.encoder is not None
    assert retriever.record["taught_by"]["args"] == {"n": 1, "of": 1}  # where nobody called a passage relevant
    scored = project.queries.filter(disagreement__range=(0, 1)).values_list("stratum", flat=True)
    assert project.queries.get(external_id="open").stratum in scored  # for the queue
    assert generator.generator is not None and generator.generator.parent == base.generator
    assert {"ndcg@10", "f1"} <= cycle.evaluation.measures.keys()
    now = lifecycle.serving(project)
    assert (now, now.previous) == (cycle.challenger, base)
    assert cycle.evaluation.decision.promoted

    # asked again, the new pair answers, and every row of its data leads back to Alice
    assert cycle.dataset is not None
    again = intake.ask(project, "Which animal eats bamboo all day?")
    ranking = Ranking.objects.get(query=again)
    assert (ranking.build, ranking.release) == (now.build, now)
    assert intake.draft(ranking).generator == generator.generator
    behind = DatasetQuery.objects.filter(dataset=cycle.dataset, judgements__curator=alice).distinct()
    assert behind.count() == len(collect.rows(cycle.dataset))

    assert lifecycle.roll_back(project) == base
    assert search.search(lifecycle.serving(project).build, "bamboo", 3)
