"""One whole cycle of the loop in the foreground: collect → train → index → evaluate → decide."""

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
    help = "Collect settled work, train, evaluate, decide and put the better pair in service."
    errors = (training_cycle.CycleInProgress, CycleFailed, *training_cycle.REASONS)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--only", choices=dict(COMPONENTS), default="", help="Which component learns; both without it."
        )
        parser.add_argument("--gate", choices=Gate.values, default=Gate.AUTO)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--budget", type=float, metavar="SECONDS", help="For each training, about.")
        parser.add_argument("--reranker", action="store_true", help="Train one too; it stays only where it pays.")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if options["seed"] < 0 or (options["budget"] is not None and options["budget"] <= 0):
            self.usage("--seed is 0 or more, --budget more than 0")
        settings = {} if options["budget"] is None else {"budget_seconds": options["budget"]}
        settings = training_runs.with_reranker(settings, options["reranker"])
        wanted = {"only": options["only"], "gate": options["gate"], "seed": options["seed"], "settings": settings}
        cycle = self._take_up(project, wanted) or training_cycle.start(project, **wanted)
        try:
            self._go_round(cycle)
        except KeyboardInterrupt:
            training_cycle.cancel(cycle, message("stopped_at_keyboard"))
            raise CycleFailed("stopped at the keyboard") from None
        if cycle.state != JobState.DONE:
            raise CycleFailed(cycle.reason or f"the cycle is {cycle.get_state_display()}")
        return _result(cycle)

    def _take_up(self, project: Project, wanted: dict[str, Any]) -> Cycle | None:
        """The cycle a killed process left, if it is the one wanted; another one is given up, with the reason."""
        left = training_cycle.left_behind(project)
        if left is None:
            return None
        if all(getattr(left, name) == value for name, value in wanted.items()):
            self.report(f"going on with cycle {left.pk}, which lost its worker while {left.get_step_display()}")
            return left
        training_cycle.cancel(left, message("given_up"))
        return None

    def _go_round(self, cycle: Cycle) -> None:
        """Every step that is left, one line about each."""
        worker = worker_name()
        while cycle.state == JobState.QUEUED:
            step = Cycle.Step(cycle.step)
            if not training_cycle.advance(cycle, worker, self.progress):
                raise CycleFailed("another worker has taken the cycle up; see its page")
            if cycle.state in (JobState.QUEUED, JobState.DONE):
                self.report(f"{step.label}: {_TOLD[step](cycle)}")


def _collected(cycle: Cycle) -> str:
    assert cycle.dataset is not None
    splits = [f"{split} {found['queries']}" for split, found in cycle.dataset.counts.items()]
    return f"{cycle.dataset} ({', '.join(splits)} queries; sha256 {cycle.dataset.sha256[:12]})"


def _trained(cycle: Cycle) -> str:
    told = [f"{run.component} in {run.seconds:.0f} s, {_outcome(run.record)}" for run in cycle.runs.order_by("pk")]
    told += [f"{component} left out: {why}" for component, why in training_runs.left_out(cycle).items()]
    return "; ".join(told)


def _outcome(record: dict[str, Any]) -> str:
    return f"dev chose {record['choice']}" if record.get("choice") else "done"


def _indexed(cycle: Cycle) -> str:
    challenger = cycle.challenger
    assert challenger is not None
    told = f"{challenger} ({challenger.build}, dense share {challenger.fusion_weight:.2f})"
    run = cycle.runs.filter(component=Component.RERANKER).first()
    if run is None:
        return told
    return f"{told}; reranker in {run.seconds:.0f} s, {run.reason or _outcome(run.record)}"


def _evaluated(cycle: Cycle) -> str:
    figures = cycle.evaluation.measures
    shown = [name for name in ("ndcg@10", "recall@20", "f1", "em") if name in figures]
    return "; ".join(
        f"{name} {figures[name]['champion']:.3f} → {figures[name]['challenger']:.3f}"
        f" ({figures[name]['low']:+.3f} to {figures[name]['high']:+.3f})"
        for name in shown
    )


_TOLD: dict[Cycle.Step, Callable[[Cycle], str]] = {
    Cycle.Step.COLLECT: _collected,
    Cycle.Step.TRAIN: _trained,
    Cycle.Step.INDEX: _indexed,
    Cycle.Step.EVALUATE: _evaluated,
    Cycle.Step.DECIDE: lambda cycle: str(cycle.evaluation.decision.reason),
}


def _result(cycle: Cycle) -> dict[str, Any]:
    """The whole cycle for --json."""
    assert cycle.dataset is not None and cycle.challenger is not None
    decision = cycle.evaluation.decision
    dataset = cycle.dataset
    return {
        "dataset": {"number": dataset.number, "sha256": dataset.sha256, "counts": dataset.counts},
        "runs": [
            {
                "id": run.pk,
                "part": run.part,
                "seconds": run.seconds,
                "loss": run.loss,
                "record": run_record.read_out(run),
            }
            for run in cycle.runs.order_by("pk")
        ],
        "evaluation": cycle.evaluation.measures,
        "decision": {"promoted": decision.promoted, "reason": str(decision.reason)},
        "release": {
            "challenger": cycle.challenger.number,
            "serving": cycle.project.releases.serving().values_list("number", flat=True).get(),
        },
    }
