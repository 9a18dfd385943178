"""Learning curve of one component in the foreground: quality by the number of judged queries."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from common.jobs import JobState, worker_name
from common.messages import message
from curation.core.project_command import ProjectCommand
from tuning.learning_curves import learning_curve
from tuning.models import COMPONENTS, Component, LearningCurve


class LearningCurveFailed(Exception):
    """The learning curve ended before its last point; the message is its reason."""


class Command(ProjectCommand):
    help = "Train on nested parts of the settled work, measure each, estimate the gain of the next hundred queries."
    errors = (learning_curve.LearningCurveInProgress, LearningCurveFailed)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--component", "--part", choices=dict(COMPONENTS), default=Component.RETRIEVER)
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
        curve = learning_curve.start(
            project,
            options["component"],
            sizes=[int(size) for size in sizes],
            seed=options["seed"],
            settings=settings,
        )
        try:
            learning_curve.measure(curve, worker_name(), self.progress)
        except KeyboardInterrupt:
            curve.cancel(message("stopped_at_keyboard"))
            raise
        if curve.state != JobState.DONE:
            raise LearningCurveFailed(curve.reason or f"the learning curve is {curve.get_state_display()}")
        return self._report_points(curve)

    def _report_points(self, curve: LearningCurve) -> dict[str, Any]:
        """Report one line per point and one about the next hundred queries; return the same as a dictionary."""
        points = [{name: value for name, value in point.items() if name != "per_query"} for point in curve.points]
        for point in points:
            self.report(f"{point['queries']:>6} queries: {curve.measure} {point['value']:.3f}")
        fit = learning_curve.extrapolate(curve)
        if fit is None:
            self.report("too few points to estimate the gain of more queries")
            return {"curve": curve.pk, "measure": curve.measure, "points": points, "next": None}
        self.report(f"the next {fit.more}: {fit.gain:+.3f} ({fit.low:+.3f} to {fit.high:+.3f})")
        estimate = {"queries": fit.more, "gain": fit.gain, "low": fit.low, "high": fit.high}
        return {"curve": curve.pk, "measure": curve.measure, "points": points, "next": estimate}
