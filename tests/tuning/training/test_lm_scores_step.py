"""Who teaches the retriever when the generator is on a server elsewhere: the run says it."""

from __future__ import annotations

from typing import Any

import pytest

from common import messages
from curation.models import Generator, Project, Query, Release
from tests.parrot import serving
from tests.tuning.conftest import Settle
from tuning.cycles import training_cycle
from tuning.models import Component

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.mark.parametrize(
    "echoes, without_grades, told",
    [
        (True, 2, "grades, and the generator's scores where there are none; it scored 2 of 2 answers"),
        (False, 2, "grades alone: the server does not return log-probabilities"),
        (True, 0, "grades alone: people called a passage relevant for every answer"),
    ],
)
def test_the_run_says_what_the_server_scored_and_if_not_why(
    project: Project,
    release: Release,
    settled: list[Query],
    settle: Settle,
    settings: Any,
    echoes: bool,
    without_grades: int,
    told: str,
) -> None:
    for text in ("Who paints the fences?", "Who sweeps the paths?")[:without_grades]:
        settle(text, {"snail": 0}, "The keeper.")
    settings.TRAINERS = {"retriever": "tests.tuning.trainer", "scores": "tuning.engine.generator.lm_scores"}
    with serving() as server:
        server.echoes = echoes
        elsewhere = Generator.objects.create(
            name="parrot", kind=Generator.Kind.API, base_path=server.url, sha256="2" * 64
        )
        Release.objects.filter(pk=release.pk).update(generator=elsewhere)
        cycle = training_cycle.start(project, only=Component.RETRIEVER)
        for _step in ("collect", "train"):
            assert training_cycle.advance(cycle, "test"), cycle.reason
    run = cycle.runs.get()
    assert str(messages.message_from_json(run.record["taught_by"])).startswith(told)
