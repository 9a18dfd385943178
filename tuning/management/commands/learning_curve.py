"""How good one component gets with how many judged queries, in the foreground."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from common.jobs import JobState, worker_name
from common.messages import message
from curation.core.project_command import ProjectCommand
from tuning.learning_curves import learning_curve
from tuning.models import COMPONENTS, Component, LearningCurve


class NotDrawn(Exception):
    """The learning curve ended before its last point; the message is its reason."""


class Command(ProjectCommand):
    help = "Train on nested parts of the settled work, measure each, say what the next hundred queries would bring."
    errors = (learning_curve.AlreadyLearning, NotDrawn)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--part", choices=dict(COMPONENTS), default=Component.RETRIEVER)
        parser.add_argument("--sizes", default="", metavar="50,100,…", help="Judged queries of each training.")
        parser.add_argument("--budget", type=float, metavar="SECONDS", help="For each training, about.")
        parser.add_argument("--seed", type=int, default=0)

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if options["seed"] < 0 or (options["budget"] is not None and options["budget"] <= 0):
            self.usage("--seed is 0 or more, --budget more than 0")
        sizes = [size.strip() for size in options["sizes"].split(",") if size.strip()]
        if not all(size.isdecimal() for size in sizes):
            self.usage("--sizes are whole numbers, with commas between them")
        settings = {} if options["budget"] is None else {"budget_seconds": options["budget"]}
        wanted = {"sizes": [int(size) for size in sizes], "seed": options["seed"], "settings": settings}
        curve = learning_curve.start(project, options["part"], **wanted)
        try:
            learning_curve.draw(curve, worker_name(), self.progress)
        except KeyboardInterrupt:
            curve.cancel(message("stopped_at_keyboard"))
            raise
        if curve.state != JobState.DONE:
            raise NotDrawn(curve.reason or f"the learning curve is {curve.get_state_display()}")
        return self._told(curve)

    def _told(self, curve: LearningCurve) -> dict[str, Any]:
        """One line a point and one about the next hundred; the same as a dictionary."""
        points = [{name: value for name, value in point.items() if name != "per_query"} for point in curve.points]
        for point in points:
            self.report(f"{point['queries']:>6} queries: {curve.measure} {point['value']:.3f}")
        outlook = learning_curve.outlook(curve)
        if outlook is None:
            self.report("too few points to say what more would bring")
            return {"curve": curve.pk, "measure": curve.measure, "points": points, "next": None}
        self.report(f"the next {outlook.more}: {outlook.gain:+.3f} ({outlook.low:+.3f} to {outlook.high:+.3f})")
        told = {"queries": outlook.more, "gain": outlook.gain, "low": outlook.low, "high": outlook.high}
        return {"curve": curve.pk, "measure": curve.measure, "points": points, "next": told}
