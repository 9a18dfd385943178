"""The run records whether the language model supervised the retriever, also when the generator is on a server."""

from __future__ import annotations

from typing import Any

import pytest

from common import messages
from curation.models import Generator, Project, Query, Release
from tests.openai_server import running_server
from tests.tuning.conftest import Settle
from tuning.cycles import training_cycle
from tuning.models import Component

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.mark.parametrize(
    "echoes, without_grades, sentence",
    [
        (
            True,
            2,
            "grades, and the language model's scores where there is no relevant passage; 2 of 2 answers scored",
        ),
        (False, 2, "grades only: the server does not return log-probabilities"),
        (True, 0, "grades only: every answer has a relevant passage"),
    ],
)
def test_the_run_records_how_many_answers_were_scored_or_why_none(
    project: Project,
    release: Release,
    settled: list[Query],
    settle: Settle,
    settings: Any,
    echoes: bool,
    without_grades: int,
    sentence: str,
) -> None:
    for text in ("Who paints the fences?", "Who sweeps the paths?")[:without_grades]:
        settle(text, {"snail": 0}, "The keeper.")
    settings.TRAINERS = {"retriever": "tests.tuning.trainer", "scores": "tuning.engine.generator.lm_scores"}
    with running_server() as server:
        server.echoes = echoes
        elsewhere = Generator.objects.create(
            name="parrot", kind=Generator.Kind.API, base_path=server.url, sha256="2" * 64
        )
        Release.objects.filter(pk=release.pk).update(generator=elsewhere)
        cycle = training_cycle.start(project, only=Component.RETRIEVER)
        for _step in ("collect", "train"):
            assert training_cycle.advance(cycle, "test"), cycle.reason
    run = cycle.runs.get()
    assert str(messages.message_from_json(run.record["supervision"])).startswith(sentence)
