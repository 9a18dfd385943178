"""Index builds: embed the passages of a corpus, index them, verify the result, and only then let it be searched.

On disk a build is a folder with the ids of its passages and the lexical index; its vectors lie in the vector store.

    DATA_DIR/builds/<corpus>-<number>/   passages.npy  lexical/  meta.json
    DATA_DIR/vectors/<hash>/             vectors.npy  meta.json
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from common import artifacts
from common.heartbeat import ClaimLost
from common.jobs import JobState
from common.messages import StrOrMessage, message, message_of_error
from retrieval.engine.encoders.bi_encoder import NoEncoder
from retrieval.engine.indexes.bm25_index import LexicalIndex
from retrieval.engine.indexes.dense_index import IntArray
from retrieval.index import garbage_collection, vector_store
from retrieval.index.verify import verify
from retrieval.models import Corpus, Encoder, IndexBuild, Passage

Progress = Callable[[int, int, StrOrMessage], None]


class BuildError(Exception):
    """The build failed; its row stores the reason."""


def request(corpus: Corpus, encoder: Encoder) -> IndexBuild:
    """Create a queued build of the corpus with the next number. The caller enqueues its task, or builds it."""
    while True:
        last = IndexBuild.objects.filter(corpus=corpus).aggregate(last=Max("number"))["last"] or 0
        try:
            with transaction.atomic():
                return IndexBuild.objects.create(corpus=corpus, encoder=encoder, number=last + 1)
        except IntegrityError:  # another process took the number meanwhile
            continue


def build(index_build: IndexBuild, *, worker: str, on_progress: Progress | None = None) -> IndexBuild:
    """Claim and build a queued index build, and return its row.

    A row that is not queued (claimed by another worker, or finished) is returned unchanged. on_progress(done, total,
    note). Raises BuildError after storing the reason in the row; ClaimLost when the row was cancelled or taken over.
    """
    if not index_build.claim(worker):
        index_build.refresh_from_db()
        return index_build
    try:
        _Builder(index_build, on_progress).run()
    except ClaimLost:
        raise
    except (BuildError, NoEncoder, artifacts.Damaged, OSError) as error:
        index_build.fail(message_of_error(error))
        raise BuildError(message_of_error(error)) from error
    except KeyboardInterrupt:
        index_build.cancel(message("interrupted"))
        raise
    except Exception as error:
        index_build.fail(f"{type(error).__name__}: {error}")
        raise
    return index_build


@dataclass(frozen=True)
class _Passages:
    """The active passages of a corpus, ordered by id. digest: a hash of their contents in this order."""

    ids: IntArray
    texts: list[str]
    digest: str

    @classmethod
    def of_corpus(cls, corpus: Corpus) -> _Passages:
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
        self.started_at = time.monotonic()
        self.last_heartbeat_at = float("-inf")

    def run(self) -> None:
        garbage_collection.remove_leftovers()
        self.report(0, 1, message("reading"))
        passages = _Passages.of_corpus(self.row.corpus)
        if not passages.texts:
            raise BuildError(message("no_passages", corpus=self.row.corpus.slug))
        key = vector_store.vectors_key(self.row.encoder, passages.digest)
        vector_store.embed(
            self.row.encoder,
            passages.texts,
            key,
            lambda done, total: self.report(done, total, message("embedding")),
        )
        folder = Path("builds") / f"{self.row.corpus.slug}-{self.row.number}"
        sha256 = self.write(settings.DATA_DIR / folder, passages, key)
        self.finish(folder, sha256, len(passages.texts))

    def report(self, done: int, total: int, note: StrOrMessage) -> None:
        """Report progress, and record the heartbeat when it is due. Raises ClaimLost."""
        if self.on_progress:
            self.on_progress(done, total, note)
        now = time.monotonic()
        is_due = now - self.last_heartbeat_at >= settings.HEARTBEAT_SECONDS
        if not is_due and note == self.row.progress_note and done < total:
            return
        self.last_heartbeat_at = now
        if not self.row.record_heartbeat(done, total, note):
            raise self.claim_lost()

    def claim_lost(self) -> ClaimLost:
        return ClaimLost(message("build_lost", build=str(self.row)))

    def write(self, target: Path, passages: _Passages, key: str) -> str:
        """Write and verify the build's folder, and return its hash. key: of the passages' vectors."""

        def fill(part: Path) -> None:
            np.save(part / "passages.npy", passages.ids)
            lexical = LexicalIndex.build(
                passages.texts, lambda done, total: self.report(done, total, message("indexing_words"))
            )
            lexical.save(part / "lexical")

        artifacts.remove_folder(target)  # of an attempt that died before it finished
        try:
            sha256 = artifacts.write_folder(target, fill, self.meta(passages, key))
        except FileExistsError as error:
            raise self.claim_lost() from error
        self.report(len(passages.ids), len(passages.ids), message("checking_build"))
        verify(target, key, len(passages.ids), self.row.encoder.dim)
        return sha256

    def meta(self, passages: _Passages, key: str) -> dict[str, object]:
        return {
            "corpus": self.row.corpus.slug,
            "number": self.row.number,
            "passages": len(passages.ids),
            "passages_digest": passages.digest,
            "encoder": {"query": self.row.encoder.query_hash, "passage": self.row.encoder.passage_hash},
            "dim": self.row.encoder.dim,
            "vectors": key,
            "made_at": timezone.now().isoformat(),
        }

    def finish(self, folder: Path, sha256: str, count: int) -> None:
        """running → done, together with what the row stores about the files."""
        seconds = time.monotonic() - self.started_at
        with transaction.atomic():
            claimed = IndexBuild.objects.filter(pk=self.row.pk, state=JobState.RUNNING, worker=self.row.worker)
            if not claimed.update(path=str(folder), sha256=sha256, passage_count=count, seconds=seconds):
                raise self.claim_lost()
            self.row.finish()
