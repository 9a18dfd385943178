"""One whole turn of the loop in the foreground: collect → train → index → evaluate → decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from common.jobs import JobState, worker_name
from common.messages import say
from curation.core.project_command import ProjectCommand
from curation.models import Project
from tuning.cycles import training_cycle
from tuning.models import HALVES, Gate, Part, Turn
from tuning.training import run_record, training_runs


class TurnFailed(Exception):
    """The turn ended without a decision; the message is its reason."""


class Command(ProjectCommand):
    help = "Collect settled work, train, evaluate, decide and put the better pair in service."
    errors = (training_cycle.AlreadyTurning, TurnFailed, *training_cycle.REASONS)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--only", choices=dict(HALVES), default="", help="Which half learns; both without it.")
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
        turn = self._take_up(project, wanted) or training_cycle.start(project, **wanted)
        try:
            self._go_round(turn)
        except KeyboardInterrupt:
            training_cycle.cancel(turn, say("stopped_at_keyboard"))
            raise TurnFailed("stopped at the keyboard") from None
        if turn.state != JobState.DONE:
            raise TurnFailed(turn.reason or f"the turn is {turn.get_state_display()}")
        return _result(turn)

    def _take_up(self, project: Project, wanted: dict[str, Any]) -> Turn | None:
        """The turn a killed process left, if it is the one wanted; another one is given up, with the reason."""
        left = training_cycle.left_behind(project)
        if left is None:
            return None
        if all(getattr(left, name) == value for name, value in wanted.items()):
            self.say(f"going on with turn {left.pk}, which lost its worker while {left.get_step_display()}")
            return left
        training_cycle.cancel(left, say("given_up"))
        return None

    def _go_round(self, turn: Turn) -> None:
        """Every step that is left, one line about each."""
        worker = worker_name()
        while turn.state == JobState.QUEUED:
            step = Turn.Step(turn.step)
            if not training_cycle.advance(turn, worker, self.progress):
                raise TurnFailed("another worker has taken the turn up; see its page")
            if turn.state in (JobState.QUEUED, JobState.DONE):
                self.say(f"{step.label}: {_TOLD[step](turn)}")


def _collected(turn: Turn) -> str:
    assert turn.dataset is not None
    splits = [f"{split} {found['queries']}" for split, found in turn.dataset.counts.items()]
    return f"{turn.dataset} ({', '.join(splits)} queries; sha256 {turn.dataset.sha256[:12]})"


def _trained(turn: Turn) -> str:
    told = [f"{run.part} in {run.seconds:.0f} s, {_outcome(run.record)}" for run in turn.runs.order_by("pk")]
    told += [f"{part} left out: {why}" for part, why in training_runs.left_out(turn).items()]
    return "; ".join(told)


def _outcome(record: dict[str, Any]) -> str:
    return f"dev chose {record['choice']}" if record.get("choice") else "done"


def _indexed(turn: Turn) -> str:
    challenger = turn.challenger
    assert challenger is not None
    told = f"{challenger} ({challenger.build}, dense share {challenger.fusion_weight:.2f})"
    run = turn.runs.filter(part=Part.RERANKER).first()
    if run is None:
        return told
    return f"{told}; reranker in {run.seconds:.0f} s, {run.reason or _outcome(run.record)}"


def _evaluated(turn: Turn) -> str:
    figures = turn.evaluation.measures
    shown = [name for name in ("ndcg@10", "recall@20", "f1", "em") if name in figures]
    return "; ".join(
        f"{name} {figures[name]['champion']:.3f} → {figures[name]['challenger']:.3f}"
        f" ({figures[name]['low']:+.3f} to {figures[name]['high']:+.3f})"
        for name in shown
    )


_TOLD: dict[Turn.Step, Callable[[Turn], str]] = {
    Turn.Step.COLLECT: _collected,
    Turn.Step.TRAIN: _trained,
    Turn.Step.INDEX: _indexed,
    Turn.Step.EVALUATE: _evaluated,
    Turn.Step.DECIDE: lambda turn: str(turn.evaluation.decision.reason),
}


def _result(turn: Turn) -> dict[str, Any]:
    """The whole turn for --json."""
    assert turn.dataset is not None and turn.challenger is not None
    decision = turn.evaluation.decision
    dataset = turn.dataset
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
            for run in turn.runs.order_by("pk")
        ],
        "evaluation": turn.evaluation.measures,
        "decision": {"promoted": decision.promoted, "reason": str(decision.reason)},
        "release": {
            "challenger": turn.challenger.number,
            "serving": turn.project.releases.serving().values_list("number", flat=True).get(),
        },
    }
