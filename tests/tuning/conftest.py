"""Settled work of the small zoo: queries, the grades of their passages, and answers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from common.jobs import JobState
from curation.models import (
    Answer,
    Assignment,
    Draft,
    Generator,
    Judgement,
    Project,
    Query,
    Ranking,
    Release,
    Review,
    SettledGrade,
)
from curation.releases import lifecycle
from retrieval.models import Passage
from tuning.datasets import collect
from tuning.models import Component, Cycle, Dataset, Evaluation, Run

ZOO_QUERIES = {
    "Which animal sleeps and hunts at night?": ({"lion": 3, "tiger": 2, "snail": 0}, "The lion."),
    "Who swims well?": ({"tiger": 3, "shark": 2, "eagle": 0}, "A tiger swims well."),
    "What has stripes?": ({"zebra": 3, "tiger": 0}, "Every zebra has stripes."),
    "Who eats bamboo?": ({"panda": 3, "lion": 0}, "The panda."),
    "Who holds hands on water?": ({"otter": 3, "shark": 0}, "An otter."),
    "Which bird sees a hare?": ({"eagle": 3, "crow": 1}, "The eagle."),
    "Which bird uses tools?": ({"crow": 3, "eagle": 0}, "A crow."),
    "What never stops swimming?": ({"shark": 3, "whale": 1}, "The shark."),
    "Who sings songs?": ({"whale": 3, "crow": 0}, "A whale."),
    "Who can sleep for three years?": ({"snail": 3, "lion": 1}, "The snail."),
    "What does a ticket cost?": ({"ticket": 3, "hours": 1}, "Twelve euros."),
    "When does the zoo open?": ({"hours": 3, "ticket": 0}, "At nine."),
    "Who remembers faces?": ({"crow": 3, "whale": 0}, "A crow."),
    "Who feeds the dragons?": ({"lion": 0, "ticket": 0}, ""),
}

Settle = Callable[..., Query]


@pytest.fixture
def restored_process_state() -> Iterator[None]:
    """Restore signal handlers, torch's threads and the logging after a training in the test's own process."""
    import torch
    from transformers.utils import logging

    handler, threads, verbosity = signal.getsignal(signal.SIGTERM), torch.get_num_threads(), logging.get_verbosity()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    logging.set_verbosity(verbosity)


@pytest.fixture
def settle(project: Project, passages: Mapping[str, Passage], alice: User) -> Settle:
    """A function that adds one settled query to the project: its grades, its answer, its review."""

    def make(text: str, grades: Mapping[str, int], answer: str = "", **fields: object) -> Query:
        number = project.queries.count() + 1
        query = Query.objects.create(
            project=project,
            external_id=f"q{number}",
            text=text,
            state=Query.State.SETTLED,
            settled_at=timezone.now(),
            **fields,
        )
        assignment = Assignment.objects.create(
            project=project, query=query, slot=1, state=Assignment.State.SUBMITTED, curator=alice
        )
        review = Review.objects.create(
            query=query, state=Review.State.SETTLED, answer=answer, is_unanswerable=not answer
        )
        for name, grade in grades.items():
            passage = passages[name]
            Judgement.objects.create(
                assignment=assignment,
                query=query,
                passage=passage,
                curator=alice,
                grade=grade,
                content_hash=passage.content_hash,
            )
            SettledGrade.objects.create(review=review, passage=passage, grade=grade, method="sole")
        if answer:
            Answer.objects.create(assignment=assignment, query=query, curator=alice, text=answer)
        return query

    return make


@pytest.fixture
def settled(settle: Settle) -> list[Query]:
    """All of ZOO_QUERIES, settled."""
    return [settle(text, grades, answer) for text, (grades, answer) in ZOO_QUERIES.items()]


@pytest.fixture
def dataset(project: Project, release: Release, settled: list[Query]) -> Dataset:
    return collect.build_dataset(project)


@pytest.fixture
def tuned(project: Project, dataset: Dataset) -> Release:
    """Release 2, whose generator was trained on the dataset; it has one draft."""
    adapted = Generator.objects.create(name="adapted", base_path="x", sha256="a" * 64)
    cycle = Cycle.objects.create(project=project, dataset=dataset, state=JobState.DONE)
    Run.objects.create(
        cycle=cycle, dataset=dataset, component=Component.GENERATOR, generator=adapted, state=JobState.DONE
    )
    candidate = lifecycle.create_candidate(project, generator=adapted)
    Cycle.objects.filter(pk=cycle.pk).update(challenger=candidate)
    Evaluation.objects.create(
        cycle=cycle,
        dataset=dataset,
        champion=lifecycle.live_release(project),
        challenger=candidate,
        state=JobState.DONE,
    )
    ranking = Ranking.objects.create(query=project.queries.all()[0], release=candidate, build=candidate.build)
    Draft.objects.create(ranking=ranking, text="The lion.", generator=adapted)
    return candidate
