"""Weights on disk: ordinary sentence-transformers folders, whole or not there, the same bytes for the same weights.

And bookmarks: where a training stands, so that one whose process was killed goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import artifacts
from retrieval.engine.encoders.cross_encoder import KIND as RERANKER

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer

_NOT_WEIGHTS = ("README.md",)  # the model card: it carries a date


def save_encoder(model: SentenceTransformer, target: Path, meta: dict[str, Any]) -> str:
    """The hash of the folder `target`, which appears whole. `meta` must not hold times: it is part of the hash."""
    return artifacts.write_folder(target, lambda folder: _write(model, folder), {"kind": "encoder"} | meta)


def save_reranker(model: CrossEncoder, target: Path, meta: dict[str, Any]) -> str:
    """The same for a cross-encoder."""
    return artifacts.write_folder(target, lambda folder: _write(model, folder), {"kind": RERANKER} | meta)


BOOKMARK_SECONDS = 30.0
GOING_ON = "going on from a bookmark"  # what a training's log says when it does


class Bookmark:
    """A training's state in one file, replaced in one step: a reader finds the old one or the new one.

    key: of everything that decides the training (see `key_of`); a bookmark of another one is not taken up.
    A state is a dictionary of tensors, numbers, texts, lists and dictionaries; it is never part of a result.
    Call the file `<name>.bookmark`: fitting.run takes it away once the result is there.
    """

    def __init__(self, path: Path, key: str, every_seconds: float = BOOKMARK_SECONDS) -> None:
        self.path, self.key, self.every_seconds = path, key, every_seconds
        self._saved_at = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last, on the processor; None without one, or where it cannot be read."""
        import torch

        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
            return None
        if not isinstance(found, dict) or found.get("key") != self.key:
            return None
        state: dict[str, Any] = found["state"]
        return state

    def save(self, state: Callable[[], dict[str, Any]], *, now: bool = False) -> bool:
        """Keep the state if `every_seconds` have passed since the last time, or at once; whether it was kept."""
        if not now and time.monotonic() - self._saved_at < self.every_seconds:
            return False
        import torch

        kept = {"key": self.key, "state": state()}
        artifacts.write_file(self.path, lambda part: torch.save(kept, part))
        self._saved_at = time.monotonic()
        return True


def key_of(*parts: Any) -> str:
    """sha256 of values JSON can write: the same ones give the same key."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _write(model: SentenceTransformer | CrossEncoder, folder: Path) -> None:
    model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
    for name in _NOT_WEIGHTS:
        (folder / name).unlink(missing_ok=True)
