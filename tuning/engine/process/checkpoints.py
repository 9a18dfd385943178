"""Checkpoints: ordinary sentence-transformers folders, complete or not there, the same bytes for the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import artifacts
from retrieval.engine.encoders.cross_encoder import KIND as RERANKER

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer

_NOT_WEIGHTS = ("README.md",)  # the model card: it carries a date


def save_encoder(model: SentenceTransformer, target: Path, meta: dict[str, Any]) -> str:
    """Write the encoder to the folder `target` in one step; return the folder's hash.

    meta: part of the hash, so it must not hold times.
    """
    return artifacts.write_folder(target, lambda folder: _write(model, folder), {"kind": "encoder"} | meta)


def save_reranker(model: CrossEncoder, target: Path, meta: dict[str, Any]) -> str:
    """Write the cross-encoder to the folder `target` in one step; return the folder's hash. See `save_encoder`."""
    return artifacts.write_folder(target, lambda folder: _write(model, folder), {"kind": RERANKER} | meta)


def _write(model: SentenceTransformer | CrossEncoder, folder: Path) -> None:
    model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
    for name in _NOT_WEIGHTS:
        (folder / name).unlink(missing_ok=True)
