"""A corpus as one encoder sees it: embedded, indexed, checked, and only then fit to be searched.

On disk a build is a folder with the ids of its passages and the lexical index; the vectors lie apart, under
the hash of what went into them, so that builds of the same passages and the same passage side share them.
Embedding is kept in shards while it runs: whoever takes a lost build up again embeds only what is missing.

    DATA_DIR/builds/<corpus>-<number>/   passages.npy  lexical/  meta.json
    DATA_DIR/vectors/<hash>/             vectors.npy  meta.json
    DATA_DIR/encoders/<package>-<hash>/  weights of a package that has them in a layout of its own
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max, Q
from django.utils import timezone

from common import artifacts
from common.jobs import JobState
from common.messages import StrOrMessage, message, message_of_error
from retrieval.engine import hardware
from retrieval.engine.encoders import bi_encoder as encoders
from retrieval.engine.indexes import bm25_index, dense_index
from retrieval.engine.indexes.dense_index import FloatArray, IntArray
from retrieval.models import Corpus, Encoder, IndexBuild, Passage

Progress = Callable[[int, int, StrOrMessage], None]

# Some encoders were trained with a mark on each side; without it they are a good deal worse.
_PREFIXES = {"e5": ("query: ", "passage: ")}
_KEEP_PARTS_SECONDS = 24 * 3600
_KEEP_SHARDS_SECONDS = 7 * 24 * 3600
_UNHEARD_SECONDS = 600
_SAMPLE = 200  # passages, of which it is counted what the encoder does not know


class CannotBuild(Exception):
    """A build that ended with the reason in its row."""


class ClaimLost(Exception):
    """The row went to somebody else, or was cancelled, while this worker was building."""


def encoder_from_settings() -> Encoder:
    """The encoder that ENCODER names."""
    return encoder_from(settings.ENCODER)


def encoder_from(name: str, *, query_prefix: str | None = None, passage_prefix: str | None = None) -> Encoder:
    """The row of the weights called `name` (a path, an installed package, a hub name), made when it is new.

    Prefixes that are not given are those the family of encoders is known to want. Raises NoEncoder.
    """
    where = encoders.unpacked(name, Path(settings.DATA_DIR) / "encoders")
    folder = encoders.local_folder(where)
    digest = artifacts.folder_hash(folder)
    family = next((prefixes for word, prefixes in _PREFIXES.items() if word in name.lower()), ("", ""))
    prefixes = {
        "query_prefix": family[0] if query_prefix is None else query_prefix,
        "passage_prefix": family[1] if passage_prefix is None else passage_prefix,
    }
    found = Encoder.objects.filter(query_hash=digest, passage_hash=digest, **prefixes).first()
    if found:
        return found
    dim = encoders.TextEncoder(folder, folder).dim
    is_folder = Path(where).expanduser().is_dir()
    path = stored_path(folder) if is_folder else name
    encoder, _made = Encoder.objects.get_or_create(
        query_hash=digest,
        passage_hash=digest,
        **prefixes,
        defaults={"name": Path(name).name, "query_path": path, "passage_path": path, "dim": dim},
    )
    return encoder


def stored_path(path: Path) -> str:
    """The path as rows keep it: relative to DATA_DIR when it is inside, so that DATA_DIR can be moved."""
    path = path.resolve()
    return str(path.relative_to(settings.DATA_DIR)) if path.is_relative_to(settings.DATA_DIR) else str(path)


def weights(encoder: Encoder) -> tuple[Path, Path]:
    """The folders of the query side and the passage side on this machine; raises NoEncoder."""
    return _weights(encoder.query_path), _weights(encoder.passage_path)


def request(corpus: Corpus, encoder: Encoder) -> IndexBuild:
    """A queued build of the corpus, numbered next. Nothing is sent: the caller enqueues it, or builds it."""
    while True:
        last = IndexBuild.objects.filter(corpus=corpus).aggregate(last=Max("number"))["last"] or 0
        try:
            with transaction.atomic():
                return IndexBuild.objects.create(corpus=corpus, encoder=encoder, number=last + 1)
        except IntegrityError:  # somebody took the number meanwhile
            continue


def build(index_build: IndexBuild, *, worker: str, on_progress: Progress | None = None) -> IndexBuild:
    """Carry one queued build to its end, and return its row.

    A row that is not queued (somebody else's, or finished) is returned as it is. on_progress(done, total,
    note). Raises CannotBuild after writing the reason into the row, ClaimLost when the row was taken away.
    """
    if not index_build.claim(worker):
        index_build.refresh_from_db()
        return index_build
    try:
        _Builder(index_build, on_progress).run()
    except ClaimLost:
        raise
    except (CannotBuild, encoders.NoEncoder, artifacts.Damaged, OSError) as error:
        index_build.fail(message_of_error(error))
        raise CannotBuild(message_of_error(error)) from error
    except KeyboardInterrupt:
        index_build.cancel(message("interrupted"))
        raise
    except Exception as error:
        index_build.fail(f"{type(error).__name__}: {error}")
        raise
    return index_build


def take_up_lost() -> list[IndexBuild]:
    """The builds a worker should be told of again: those whose worker fell silent, those nobody ever took.

    A silent one is queued again, or failed with its reason after too many attempts. An untaken one is named
    every ten minutes, not at every sweep: its message may only be waiting behind a long job.
    """
    now = timezone.now()
    again = [lost for lost in IndexBuild.objects.stale() if lost.requeue(message("worker_silent"))]
    unheard = now - timedelta(seconds=_UNHEARD_SECONDS)
    untaken = Q(heartbeat_at__lt=unheard) | Q(heartbeat_at=None, created_at__lt=unheard)
    named = {lost.pk for lost in again}
    again += IndexBuild.objects.queued().filter(untaken).exclude(pk__in=named)
    IndexBuild.objects.queued().filter(pk__in=[lost.pk for lost in again]).update(heartbeat_at=now)
    return again


def retire(index_build: IndexBuild) -> None:
    """Give the disk back. The row stays; the vectors stay too while another build searches them.

    The caller makes sure that nothing serves, or will roll back to, this build.
    """
    with transaction.atomic():
        IndexBuild.objects.filter(pk=index_build.pk).update(retired_at=timezone.now())
        index_build.refresh_from_db()
    if not index_build.path:
        return
    folder = settings.DATA_DIR / index_build.path
    key = _vectors_of(folder)
    artifacts.remove_folder(folder)
    others = IndexBuild.objects.searchable().exclude(pk=index_build.pk)
    in_use = {_vectors_of(settings.DATA_DIR / other.path) for other in others}
    if key and key not in in_use and not IndexBuild.objects.running().exists():
        artifacts.remove_folder(vectors_folder(key))


def unknown_share(index_build: IndexBuild) -> float:
    """The share of the corpus's tokens that the build's encoder does not know, by a sample; see TextEncoder."""
    folder = vectors_folder(_vectors_of(Path(settings.DATA_DIR) / index_build.path))
    try:
        return float(artifacts.read_meta(folder).get("unknown_share", 0.0))
    except artifacts.Damaged:
        return 0.0


def vectors_folder(key: str) -> Path:
    """Where the vectors with this hash of their origin lie."""
    return Path(settings.DATA_DIR) / "vectors" / key


@dataclass(frozen=True)
class _Passages:
    """The rows that go into a build, in the order of their ids."""

    ids: IntArray
    texts: list[str]
    digest: str

    @classmethod
    def of(cls, corpus: Corpus) -> _Passages:
        ids, texts, digest = [], [], hashlib.sha256()
        for passage in Passage.objects.active().filter(corpus=corpus).order_by("pk").iterator():
            ids.append(passage.pk)
            texts.append(passage.full_text)
            digest.update(passage.content_hash.encode())
        return cls(np.array(ids, np.int64), texts, digest.hexdigest())


class _Builder:
    """One attempt at one build."""

    def __init__(self, row: IndexBuild, on_progress: Progress | None) -> None:
        self.row = row
        self.on_progress = on_progress
        self.began = time.monotonic()
        self.beaten_at = float("-inf")

    def run(self) -> None:
        _tidy()
        self.tell(0, 1, message("reading"))
        passages = _Passages.of(self.row.corpus)
        if not passages.texts:
            raise CannotBuild(message("no_passages", corpus=self.row.corpus.slug))
        key = self.embed(passages)
        folder = Path("builds") / f"{self.row.corpus.slug}-{self.row.number}"
        sha256 = self.write(settings.DATA_DIR / folder, passages, key)
        self.finish(folder, sha256, len(passages.texts))

    def tell(self, done: int, total: int, note: StrOrMessage) -> None:
        """Beat when it is time to; raises ClaimLost when the row is no longer this worker's."""
        if self.on_progress:
            self.on_progress(done, total, note)
        now = time.monotonic()
        if now - self.beaten_at < settings.HEARTBEAT_SECONDS and note == self.row.progress_note and done < total:
            return
        self.beaten_at = now
        if not self.row.record_heartbeat(done, total, note):
            raise ClaimLost(message("build_lost", build=str(self.row)))

    def embed(self, passages: _Passages) -> str:
        """The key of the passages' vectors, which are on disk now."""
        encoder = self.row.encoder
        key = vectors_key(encoder, passages.digest)
        target = vectors_folder(key)
        if target.exists():
            return key
        hardware.set_threads(settings.COMPUTE_THREADS)
        query_path, passage_path = weights(encoder)
        dtype = hardware.fast_dtype(Path(settings.DATA_DIR) / "compute.json")
        text_encoder = encoders.TextEncoder(
            query_path, passage_path, encoder.query_prefix, encoder.passage_prefix, dtype
        )
        shards = target.with_name(f"{key}.shards")
        total = len(passages.texts)
        done = 0

        def encode(texts: list[str]) -> FloatArray:
            return text_encoder.encode_passages(texts, lambda n, _all: self.tell(done + n, total, message("embedding")))

        def shard_done(n: int, _total: int) -> None:
            nonlocal done
            done = n
            self.tell(done, total, message("embedding"))

        self.tell(0, total, message("embedding"))
        dense_index.embed_in_shards(shards, encode, passages.texts, shard_done)
        meta = {
            "encoder": encoder.passage_hash,
            "prefix": encoder.passage_prefix,
            "dtype": dtype,
            "unknown_share": round(text_encoder.unknown_share(passages.texts[:: -(-total // _SAMPLE)]), 2),
        }
        try:
            dense_index.join_shards(shards, target, total, encoder.dim, meta)
        except FileExistsError:
            pass  # another build of the same passages was quicker
        except artifacts.Damaged:
            shutil.rmtree(shards, ignore_errors=True)  # or every attempt would fail on them
            raise
        shutil.rmtree(shards, ignore_errors=True)
        return key

    def write(self, target: Path, passages: _Passages, key: str) -> str:
        """The hash of the build's folder, which is whole and was searched once."""

        def fill(part: Path) -> None:
            np.save(part / "passages.npy", passages.ids)
            index = bm25_index.LexicalIndex.build(
                passages.texts, lambda done, total: self.tell(done, total, message("indexing_words"))
            )
            index.save(part / "lexical")

        meta = {
            "corpus": self.row.corpus.slug,
            "number": self.row.number,
            "passages": len(passages.ids),
            "passages_digest": passages.digest,
            "encoder": {"query": self.row.encoder.query_hash, "passage": self.row.encoder.passage_hash},
            "dim": self.row.encoder.dim,
            "vectors": key,
            "made_at": timezone.now().isoformat(),
        }
        artifacts.remove_folder(target)  # of an attempt that died between writing it and saying so
        try:
            sha256 = artifacts.write_folder(target, fill, meta)
        except FileExistsError as error:
            raise ClaimLost(message("build_lost", build=str(self.row))) from error
        self.tell(len(passages.ids), len(passages.ids), message("checking_build"))
        self.check(target, passages, key)
        return sha256

    def check(self, folder: Path, passages: _Passages, key: str) -> None:
        """Raises Damaged unless a few passages find themselves, both ways."""
        matrix = dense_index.load(vectors_folder(key))
        if matrix.shape != (len(passages.ids), self.row.encoder.dim):
            raise artifacts.Damaged(f"{vectors_folder(key)} has the shape {matrix.shape}")
        index = bm25_index.LexicalIndex.load(folder / "lexical")
        if len(index) != len(passages.ids):
            raise artifacts.Damaged(f"{folder} indexes {len(index)} of {len(passages.ids)} passages")
        sample = np.linspace(0, len(matrix) - 1, min(5, len(matrix))).astype(int)
        lengths = np.linalg.norm(matrix[sample], axis=1)
        scores, _rows = dense_index.nearest(np.ascontiguousarray(matrix[sample]), matrix, 1)
        if not np.allclose(scores[:, 0], lengths**2, atol=1e-3):
            raise artifacts.Damaged(f"{vectors_folder(key)}: a passage does not find itself")

    def finish(self, folder: Path, sha256: str, count: int) -> None:
        """done, with everything the row says of its files, in one step."""
        seconds = time.monotonic() - self.began
        with transaction.atomic():
            held = IndexBuild.objects.filter(pk=self.row.pk, state=JobState.RUNNING, worker=self.row.worker)
            if not held.update(path=str(folder), sha256=sha256, passage_count=count, seconds=seconds):
                raise ClaimLost(message("build_lost", build=str(self.row)))
            self.row.finish()


def vectors_key(encoder: Encoder, passages_digest: str) -> str:
    """The name of the vectors: a hash of the passage side, its prefix, and the passages in their order."""
    origin = f"{encoder.passage_hash}\0{encoder.passage_prefix}\0{passages_digest}"
    return hashlib.sha256(origin.encode()).hexdigest()[:40]


def _weights(path: str) -> Path:
    inside = Path(settings.DATA_DIR) / path
    return inside if inside.is_dir() else encoders.local_folder(path)


def _vectors_of(folder: Path) -> str:
    """The key of the vectors a build searches; empty when its folder is gone."""
    try:
        return str(artifacts.read_meta(folder).get("vectors", ""))
    except artifacts.Damaged:
        return ""


def _tidy() -> None:
    """Remove what dead writers left, long after anyone could still want it."""
    for name in ("builds", "vectors", "encoders"):
        artifacts.clear_parts(Path(settings.DATA_DIR) / name, _KEEP_PARTS_SECONDS)
    before = time.time() - _KEEP_SHARDS_SECONDS
    for shards in (Path(settings.DATA_DIR) / "vectors").glob("*.shards"):
        if shards.stat().st_mtime < before:
            shutil.rmtree(shards, ignore_errors=True)
