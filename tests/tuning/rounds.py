"""A whole cycle of the loop inside this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.jobs import JobState
from curation.models import Project
from tuning.cycles import training_cycle
from tuning.models import Component, Cycle


def go_round(project: Project, settings: Mapping[str, Any]) -> Cycle:
    """The cycle of the retriever, done; its steps are taken one after the other."""
    cycle = training_cycle.start(project, only=Component.RETRIEVER, settings=dict(settings))
    while cycle.state == JobState.QUEUED:
        assert training_cycle.advance(cycle, "test")
    assert cycle.state == JobState.DONE, cycle.reason
    return cycle
