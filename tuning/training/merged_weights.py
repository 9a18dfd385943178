"""Weights of a run for download: the trained weights, and the merged weights of a generator's base and adapter."""

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

REQUESTED = "asked"  # the stored state


class NoWeights(CurationError):
    """The run has no such weights; the message is the reason."""


def trained_folder(run: Run) -> Path:
    """Return the folder of the trained weights: an adapter, or the weights of an encoder. Raises NoWeights."""
    folder = training_runs.run_folder(run) / CHECKPOINT
    if run.encoder is None and run.generator is None and run.reranker is None:
        raise NoWeights(message("no_weights"))
    if not folder.is_dir():
        raise NoWeights(message("weights_gone"))
    return folder


def merged_folder(run: Run) -> Path | None:
    """Return the folder with base and adapter in one model; None until `merge` has written it."""
    folder = _target(run)
    return folder if run.record.get("merged", {}).get("sha256") and folder.is_dir() else None


def request_merge(run: Run) -> Run:
    """Record that the merged weights are requested; the caller enqueues the merge. Raises NoWeights."""
    if run.component != Component.GENERATOR or run.generator is None or not run.generator.adapter_path:
        raise NoWeights(message("nothing_to_merge"))
    trained_folder(run)
    if merged_folder(run) is None:
        _record_state(run, {"state": REQUESTED})
    return run


def merge(run: Run) -> Run:
    """Write base and adapter as one ordinary folder in the format of the base, unless it was written before.

    An error is stored in the record, for the page.
    """
    if merged_folder(run) is not None or run.generator is None:
        return run
    target = _target(run)
    artifacts.remove_folder(target)  # without its hash in the row, a killed process left it
    try:
        digest = artifacts.write_folder(target, lambda part: _write(run, part), {"kind": "generator", "run": run.pk})
    except (NoGenerator, NoWeights, OSError) as error:
        return _record_state(run, {"state": "failed", "reason": message_to_json(message_of_error(error))})
    return _record_state(run, {"state": "done", "sha256": digest})


def _write(run: Run, part: Path) -> None:
    from curation.engine.generation.generator import load_model

    assert run.generator is not None  # `merge` has checked it
    base = resolve(run.generator.base_path, Path(settings.DATA_DIR) / "generators")
    model, tokenizer = load_model(base, trained_folder(run))
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)


def _target(run: Run) -> Path:
    return training_runs.run_folder(run) / "merged"


def _record_state(run: Run, state: dict[str, Any]) -> Run:
    run.record = run.record | {"merged": state}
    run.save(update_fields=["record"])
    return run
