"""Weights on disk: ordinary sentence-transformers folders, whole or not there, the same bytes for the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.engine import artifacts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_NOT_WEIGHTS = ("README.md",)  # the model card: it carries a date


def save_encoder(model: SentenceTransformer, target: Path, meta: dict[str, Any]) -> str:
    """The hash of the folder `target`, which appears whole. `meta` must not hold times: it is part of the hash."""

    def fill(folder: Path) -> None:
        model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
        for name in _NOT_WEIGHTS:
            (folder / name).unlink(missing_ok=True)

    return artifacts.write_folder(target, fill, {"kind": "encoder"} | meta)
