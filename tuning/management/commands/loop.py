"""One complete training cycle in the foreground: collect → train → index → rerank → evaluate → decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from common.jobs import JobState, worker_name
from common.messages import message
from curation.core.project_command import ProjectCommand
from curation.models import Project
from tuning.cycles import training_cycle
from tuning.models import COMPONENTS, Component, Cycle, Gate
from tuning.training import run_record, training_runs


class CycleFailed(Exception):
    """The cycle ended without a decision; the message is its reason."""


class Command(ProjectCommand):
    help = "Build a dataset, train, evaluate, decide, and promote the candidate if the gate passes."
    errors = (training_cycle.CycleInProgress, CycleFailed, *training_cycle.REASONS)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--only", choices=dict(COMPONENTS), default="", help="The component to train; default: both."
        )
        parser.add_argument("--gate", choices=Gate.values, default=Gate.AUTO)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--budget", type=float, metavar="SECONDS", help="For each training, about.")
        parser.add_argument(
            "--reranker", action="store_true", help="Train a reranker too; it is kept only if its trade-off is good."
        )

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if options["seed"] < 0 or (options["budget"] is not None and options["budget"] <= 0):
            self.usage("--seed is 0 or more, --budget more than 0")
        settings = {} if options["budget"] is None else {"budget_seconds": options["budget"]}
        settings = training_runs.with_reranker(settings, options["reranker"])
        fields = {"only": options["only"], "gate": options["gate"], "seed": options["seed"], "settings": settings}
        cycle = self._resume(project, fields) or training_cycle.start(project, **fields)
        try:
            self._run_steps(cycle)
        except KeyboardInterrupt:
            training_cycle.cancel(cycle, message("stopped_at_keyboard"))
            raise CycleFailed("stopped from the keyboard") from None
        if cycle.state != JobState.DONE:
            raise CycleFailed(cycle.reason or f"the cycle is {cycle.get_state_display()}")
        return _result(cycle)

    def _resume(self, project: Project, fields: dict[str, Any]) -> Cycle | None:
        """Return the cycle of a killed process if it has these fields; cancel it with the reason otherwise."""
        orphan = training_cycle.requeue_orphan(project)
        if orphan is None:
            return None
        if all(getattr(orphan, name) == value for name, value in fields.items()):
            self.report(f"resuming cycle {orphan.pk}, which lost its worker while {orphan.get_step_display()}")
            return orphan
        training_cycle.cancel(orphan, message("given_up"))
        return None

    def _run_steps(self, cycle: Cycle) -> None:
        """Do all remaining steps, and report one line about each."""
        worker = worker_name()
        while cycle.state == JobState.QUEUED:
            step = Cycle.Step(cycle.step)
            if not training_cycle.advance(cycle, worker, self.progress):
                raise CycleFailed("another worker has claimed the cycle; see its page")
            if cycle.state in (JobState.QUEUED, JobState.DONE):
                self.report(f"{step.label}: {_STEP_REPORTS[step](cycle)}")


def _dataset_report(cycle: Cycle) -> str:
    assert cycle.dataset is not None  # the step has built it
    splits = [f"{split} {counts['queries']}" for split, counts in cycle.dataset.counts.items()]
    return f"{cycle.dataset} ({', '.join(splits)} queries; sha256 {cycle.dataset.sha256[:12]})"


def _training_report(cycle: Cycle) -> str:
    parts = [f"{run.component} in {run.seconds:.0f} s, {_outcome(run.record)}" for run in cycle.runs.order_by("pk")]
    parts += [f"{component} skipped: {reason}" for component, reason in training_runs.skipped_components(cycle).items()]
    return "; ".join(parts)


def _outcome(record: dict[str, Any]) -> str:
    return f"dev chose {record['choice']}" if record.get("choice") else "done"


def _index_report(cycle: Cycle) -> str:
    challenger = cycle.challenger
    if challenger is None:  # it is created after the training of the reranker
        return "done"
    return f"{challenger} ({challenger.build}, dense weight {challenger.fusion_weight:.2f})"


def _reranker_report(cycle: Cycle) -> str:
    run = cycle.runs.filter(component=Component.RERANKER).first()
    index = _index_report(cycle)
    return index if run is None else f"{index}; {run.seconds:.0f} s, {run.reason or _outcome(run.record)}"


def _evaluation_report(cycle: Cycle) -> str:
    figures = cycle.evaluation.measures
    names = [name for name in ("ndcg@10", "recall@20", "f1", "em") if name in figures]
    return "; ".join(
        f"{name} {figures[name]['champion']:.3f} → {figures[name]['challenger']:.3f}"
        f" ({figures[name]['low']:+.3f} to {figures[name]['high']:+.3f})"
        for name in names
    )


_STEP_REPORTS: dict[Cycle.Step, Callable[[Cycle], str]] = {
    Cycle.Step.COLLECT: _dataset_report,
    Cycle.Step.TRAIN: _training_report,
    Cycle.Step.INDEX: _index_report,
    Cycle.Step.RERANK: _reranker_report,
    Cycle.Step.EVALUATE: _evaluation_report,
    Cycle.Step.DECIDE: lambda cycle: str(cycle.evaluation.decision.reason),
}


def _result(cycle: Cycle) -> dict[str, Any]:
    """Return the result of the cycle for --json."""
    assert cycle.dataset is not None and cycle.challenger is not None  # a cycle that is done has both
    decision = cycle.evaluation.decision
    dataset = cycle.dataset
    return {
        "dataset": {"number": dataset.number, "sha256": dataset.sha256, "counts": dataset.counts},
        "runs": [
            {
                "id": run.pk,
                "part": run.component,
                "seconds": run.seconds,
                "loss": run.loss,
                "record": run_record.rendered_record(run),
            }
            for run in cycle.runs.order_by("pk")
        ],
        "evaluation": cycle.evaluation.measures,
        "decision": {"promoted": decision.promoted, "reason": str(decision.reason)},
        "release": {
            "challenger": cycle.challenger.number,
            "serving": cycle.project.releases.live().values_list("number", flat=True).get(),
        },
    }
