"""The weights of a run to take away: what was trained, and for a generator the whole model with the adapter in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings

from common import artifacts
from common.messages import message, message_of_error, message_to_json
from curation.core.errors import CurationError
from curation.engine.generation.gguf import NoGenerator, resolve
from tuning.models import Component, Run
from tuning.training import training_runs
from tuning.training.process import CHECKPOINT

ASKED = "asked"


class NoWeights(CurationError):
    """The run has no such weights, with the reason."""


def trained(run: Run) -> Path:
    """The folder the run's training wrote: an adapter, or the encoder's weights. Raises NoWeights."""
    found = training_runs.folder(run) / CHECKPOINT
    if run.encoder is None and run.generator is None and run.reranker is None:
        raise NoWeights(message("no_weights"))
    if not found.is_dir():
        raise NoWeights(message("weights_gone"))
    return found


def merged(run: Run) -> Path | None:
    """The folder with base and adapter in one; None until `merge` has written it."""
    found = _target(run)
    return found if run.record.get("merged", {}).get("sha256") and found.is_dir() else None


def ask(run: Run) -> Run:
    """Note that the merged weights are wanted; who enqueues the merge has the row's word for it. Raises NoWeights."""
    if run.component != Component.GENERATOR or run.generator is None or not run.generator.adapter_path:
        raise NoWeights(message("nothing_to_merge"))
    trained(run)
    if merged(run) is None:
        _note(run, {"state": ASKED})
    return run


def merge(run: Run) -> Run:
    """Write base and adapter as one ordinary folder, in the format of the base; the one that is there when it was.

    What is in the way stands in the record, for the page to say.
    """
    if merged(run) is not None or run.generator is None:
        return run
    target = _target(run)
    artifacts.remove_folder(target)  # without its hash in the row it is what a killed process left
    try:
        digest = artifacts.write_folder(target, lambda part: _write(run, part), {"kind": "generator", "run": run.pk})
    except (NoGenerator, NoWeights, OSError) as error:
        return _note(run, {"state": "failed", "reason": message_to_json(message_of_error(error))})
    return _note(run, {"state": "done", "sha256": digest})


def _write(run: Run, part: Path) -> None:
    from curation.engine.generation.generator import load

    assert run.generator is not None  # `merge` looked
    base = resolve(run.generator.base_path, Path(settings.DATA_DIR) / "generators")
    model, tokenizer = load(base, trained(run))
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)


def _target(run: Run) -> Path:
    return training_runs.folder(run) / "merged"


def _note(run: Run, found: dict[str, Any]) -> Run:
    run.record = run.record | {"merged": found}
    run.save(update_fields=["record"])
    return run
