"""Training state on disk: the checkpoint that a killed training resumes from."""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import artifacts

if TYPE_CHECKING:
    import torch

SUFFIX = ".state"  # of the file's name, after the name of the training loop
EARLIER_SUFFIXES = (".bookmark",)  # of earlier versions: never loaded, only removed
SAVE_SECONDS = 30.0
RESUMED = "resumed from its training state"  # the note in the metrics of a training that was resumed

_FORMAT = 1


class TrainingState:
    """The state of one training in one file, replaced in one step: a reader finds the old file or the new one.

    fingerprint:  of everything that decides the weights (see `fingerprint`); the state of another training is ignored.
    save_seconds: the least time between two saves.

    A state is a dictionary of tensors, numbers, texts, lists and dictionaries. It is never part of a result: the
    training process removes it as soon as the result is written.
    """

    def __init__(self, path: Path, fingerprint: str, save_seconds: float = SAVE_SECONDS) -> None:
        self.path, self.fingerprint, self.save_seconds = path, fingerprint, save_seconds
        self._saved_at = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return the last saved state, its tensors on the CPU; None without a file that can be read and fits."""
        import torch

        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
            return None
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            return None
        if content.get("fingerprint") != self.fingerprint:
            return None
        state: dict[str, Any] = content["state"]
        return state

    def save(self, collect: Callable[[], dict[str, Any]], *, now: bool = False) -> bool:
        """Save what `collect` returns if `save_seconds` have passed since the last save, or at once; return whether."""
        if not now and time.monotonic() - self._saved_at < self.save_seconds:
            return False
        import torch

        content = {"format": _FORMAT, "fingerprint": self.fingerprint, "state": collect()}
        artifacts.write_file(self.path, lambda part: torch.save(content, part))
        self._saved_at = time.monotonic()
        return True


def fingerprint(*parts: Any) -> str:
    """Return the sha256 of values that JSON can write: equal values give equal fingerprints."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def remove_states(folder: Path) -> None:
    """Remove every training state in the folder, half-written ones and those of earlier versions too."""
    for suffix in (SUFFIX, *EARLIER_SUFFIXES):
        for path in (*folder.glob(f"*{suffix}"), *folder.glob(f"*{suffix}.part-*")):
            path.unlink()


def random_state() -> dict[str, list[torch.Tensor]]:
    """Return the state of torch's random numbers, which decide dropout, by the kind of device."""
    import torch

    return {"cpu": [torch.get_rng_state()], "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def restore_random_state(state: dict[str, list[torch.Tensor]]) -> None:
    """Continue the random numbers where `random_state` was called; devices that are gone are left out."""
    import torch

    torch.set_rng_state(state["cpu"][0])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
