"""Vector store: the embeddings of the passages, shared by the index builds that need the same ones.

Vectors lie under the hash of what they were made from, `DATA_DIR/vectors/<hash>/`: builds of the same passages with
the same passage encoder share them. They are embedded in shards, so that a worker that resumes a lost build embeds
only what is missing.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from common import artifacts
from retrieval.engine import hardware
from retrieval.engine.encoders.bi_encoder import TextEncoder
from retrieval.engine.indexes import dense_index
from retrieval.engine.indexes.dense_index import FloatArray
from retrieval.index import encoders
from retrieval.models import Encoder, IndexBuild

SHARDS_SUFFIX = ".shards"
_SAMPLE_SIZE = 200  # passages whose unknown tokens are counted

Progress = Callable[[int, int], None]


def vectors_key(encoder: Encoder, passages_digest: str) -> str:
    """Return the name of the vectors: a hash of the passage encoder, its prefix, and the passages in their order."""
    origin = f"{encoder.passage_hash}\0{encoder.passage_prefix}\0{passages_digest}"
    return hashlib.sha256(origin.encode()).hexdigest()[:40]


def vectors_folder(key: str) -> Path:
    """Return the folder of the vectors with this key."""
    return Path(settings.DATA_DIR) / "vectors" / key


def key_of_build(build_folder: Path) -> str:
    """Return the key of the vectors that an index build searches; empty when its folder is missing."""
    try:
        return str(artifacts.read_meta(build_folder).get("vectors", ""))
    except artifacts.Damaged:
        return ""


def unknown_share(index_build: IndexBuild) -> float:
    """Return the share of the corpus's tokens that the build's encoder does not know, estimated on a sample."""
    folder = vectors_folder(key_of_build(Path(settings.DATA_DIR) / index_build.path))
    try:
        return float(artifacts.read_meta(folder).get("unknown_share", 0.0))
    except artifacts.Damaged:
        return 0.0


def embed(encoder: Encoder, texts: list[str], key: str, on_progress: Progress) -> None:
    """Embed the passages' texts into the folder of `key`, unless it exists. Resumes from existing shards.

    on_progress(done, total) is called at the start and after each batch. Raises NoEncoder, Damaged, OSError.
    """
    target = vectors_folder(key)
    if target.exists():
        return
    hardware.set_threads(settings.COMPUTE_THREADS)
    query_path, passage_path = encoders.weight_folders(encoder)
    dtype = hardware.fast_dtype(Path(settings.DATA_DIR) / "compute.json")
    text_encoder = TextEncoder(query_path, passage_path, encoder.query_prefix, encoder.passage_prefix, dtype)
    shards = target.with_name(f"{key}{SHARDS_SUFFIX}")
    _embed_shards(text_encoder, texts, shards, on_progress)
    meta = {
        "encoder": encoder.passage_hash,
        "prefix": encoder.passage_prefix,
        "dtype": dtype,
        "unknown_share": round(text_encoder.unknown_share(texts[:: -(-len(texts) // _SAMPLE_SIZE)]), 2),
    }
    try:
        dense_index.join_shards(shards, target, len(texts), encoder.dim, meta)
    except FileExistsError:
        pass  # another build of the same passages was faster
    except artifacts.Damaged:
        shutil.rmtree(shards, ignore_errors=True)  # or every later attempt would fail on them
        raise
    shutil.rmtree(shards, ignore_errors=True)


def _embed_shards(text_encoder: TextEncoder, texts: list[str], shards: Path, on_progress: Progress) -> None:
    total = len(texts)
    embedded = 0

    def encode(batch: list[str]) -> FloatArray:
        return text_encoder.encode_passages(batch, lambda done, _size: on_progress(embedded + done, total))

    def shard_done(done: int, _total: int) -> None:
        nonlocal embedded
        embedded = done
        on_progress(embedded, total)

    on_progress(0, total)
    dense_index.embed_in_shards(shards, encode, texts, shard_done)
