"""Encoder rows: find the weights that a name stands for, and the row that records them.

Weights of a package with a layout of its own are converted once, into `DATA_DIR/encoders/<package>-<hash>/`.
"""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from common import artifacts
from common.data_dir import stored_path
from retrieval.engine.encoders import bi_encoder
from retrieval.models import Encoder

# Family of encoders → the prefixes of queries and passages it was trained with; without them it ranks much worse.
_PREFIXES = {"e5": ("query: ", "passage: ")}


def default_encoder() -> Encoder:
    """Return the encoder that the setting ENCODER names."""
    return get_or_create(settings.ENCODER)


def get_or_create(name: str, *, query_prefix: str | None = None, passage_prefix: str | None = None) -> Encoder:
    """Return the row of the weights called `name` (a path, an installed package, a hub name); create it when new.

    Prefixes that are not given are those of the family of encoders. Raises NoEncoder.
    """
    location = bi_encoder.unpack_weights(name, Path(settings.DATA_DIR) / "encoders")
    folder = bi_encoder.local_folder(location)
    digest = artifacts.folder_hash(folder)
    family = next((prefixes for word, prefixes in _PREFIXES.items() if word in name.lower()), ("", ""))
    identity = {
        "query_hash": digest,
        "passage_hash": digest,
        "query_prefix": family[0] if query_prefix is None else query_prefix,
        "passage_prefix": family[1] if passage_prefix is None else passage_prefix,
    }
    known = Encoder.objects.filter(**identity).first()
    if known:
        return known
    path = stored_path(folder) if Path(location).expanduser().is_dir() else name
    dim = bi_encoder.TextEncoder(folder, folder).dim
    defaults = {"name": Path(name).name, "query_path": path, "passage_path": path, "dim": dim}
    encoder, _is_new = Encoder.objects.get_or_create(**identity, defaults=defaults)
    return encoder


def weight_folders(encoder: Encoder) -> tuple[Path, Path]:
    """Return the folders of the query encoder and the passage encoder on this machine. Raises NoEncoder."""
    return _weight_folder(encoder.query_path), _weight_folder(encoder.passage_path)


def load(encoder: Encoder) -> bi_encoder.TextEncoder:
    """Return the encoder with its weights loaded. Raises NoEncoder."""
    query_path, passage_path = weight_folders(encoder)
    return bi_encoder.TextEncoder(query_path, passage_path, encoder.query_prefix, encoder.passage_prefix)


def _weight_folder(path: str) -> Path:
    below_data_dir = Path(settings.DATA_DIR) / path
    return below_data_dir if below_data_dir.is_dir() else bi_encoder.local_folder(path)
