"""A whole turn of the loop inside this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.jobs import JobState
from curation.models import Project
from tuning.cycles import training_cycle
from tuning.models import Part, Turn


def go_round(project: Project, settings: Mapping[str, Any]) -> Turn:
    """The turn of the retriever, done; its steps are taken one after the other."""
    turn = training_cycle.start(project, only=Part.RETRIEVER, settings=dict(settings))
    while turn.state == JobState.QUEUED:
        assert training_cycle.advance(turn, "test")
    assert turn.state == JobState.DONE, turn.reason
    return turn
