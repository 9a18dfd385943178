"""A complete training cycle inside this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.jobs import JobState
from curation.models import Project
from tuning.cycles import training_cycle
from tuning.models import Component, Cycle


def run_cycle(project: Project, settings: Mapping[str, Any]) -> Cycle:
    """Run a cycle of the retriever to its end, one step after the other, and return it."""
    cycle = training_cycle.start(project, only=Component.RETRIEVER, settings=dict(settings))
    while cycle.state == JobState.QUEUED:
        assert training_cycle.advance(cycle, "test")
    assert cycle.state == JobState.DONE, cycle.reason
    return cycle
