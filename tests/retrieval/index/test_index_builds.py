import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.utils import timezone

from common import artifacts
from common.heartbeat import ClaimLost
from common.jobs import JobState
from common.recovery import recover
from retrieval.documents import ingest, withdrawal
from retrieval.documents.ingest import SourceDocument
from retrieval.engine.encoders.bi_encoder import TextEncoder
from retrieval.engine.indexes import dense_index
from retrieval.index import encoders, garbage_collection, index_builds
from retrieval.models import Corpus, Encoder, IndexBuild
from retrieval.search import search
from tests.conftest import ZOO, process_environment

# A worker process that is killed at one moment of its build.
KILLED_AT = """
import os, signal, sys, django
django.setup()
from retrieval.index import index_builds
from retrieval.models import IndexBuild
def progress(done, total, note):
    if str(note) == sys.argv[2] and done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
index_builds.build(IndexBuild.objects.get(pk=sys.argv[1]), worker="killed", on_progress=progress)
"""


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.DATA_DIR = tmp_path
    search.close_all()


def test_a_build_is_complete_hashed_and_counted(build: IndexBuild) -> None:
    folder = Path(settings.DATA_DIR) / build.path
    artifacts.verify(folder, build.sha256)
    assert (build.state, build.number, build.passage_count) == (JobState.DONE, 1, len(ZOO))
    assert build.path == "builds/zoo-1" and build.seconds > 0
    assert artifacts.read_meta(folder)["passages"] == len(ZOO)
    assert not list(Path(settings.DATA_DIR).rglob("*.part-*")) and not list(Path(settings.DATA_DIR).rglob("*.shards"))


def test_the_same_weights_are_one_encoder(keyword_encoder: Encoder, keyword_folder: Path) -> None:
    assert encoders.get_or_create(str(keyword_folder)) == keyword_encoder
    other = encoders.get_or_create(str(keyword_folder), query_prefix="lion ")
    assert other != keyword_encoder and encoders.weight_folders(other) == (keyword_folder, keyword_folder)


def test_builds_of_the_same_passages_share_their_vectors(build: IndexBuild, keyword_folder: Path) -> None:
    other = encoders.get_or_create(str(keyword_folder), query_prefix="lion ")
    [shared] = (Path(settings.DATA_DIR) / "vectors").iterdir()
    before = shared.stat().st_mtime_ns, (shared / "vectors.npy").stat().st_ino
    second = index_builds.build(index_builds.request(build.corpus, other), worker="test")
    assert second.number == 2
    assert list((Path(settings.DATA_DIR) / "vectors").iterdir()) == [shared]
    assert (shared.stat().st_mtime_ns, (shared / "vectors.npy").stat().st_ino) == before
    garbage_collection.retire(build)
    assert shared.exists() and not (Path(settings.DATA_DIR) / build.path).exists()
    garbage_collection.retire(second)
    assert not shared.exists()


def test_only_active_passages_are_built(build: IndexBuild) -> None:
    withdrawal.withdraw(build.corpus, ["lion"])
    ingest.ingest(build.corpus, [SourceDocument("mouse", "Mouse", "A mouse is small.")], whole=True)
    second = index_builds.build(index_builds.request(build.corpus, build.encoder), worker="test")
    assert second.passage_count == len(ZOO)
    texts = [hit.passage_id for hit in search.search(second, "lion", k=50)]
    assert build.corpus.passages.get(external_id="lion").pk not in texts
    assert build.corpus.passages.get(external_id="lion").pk == search.search(build, "lion")[0].passage_id


def test_a_row_is_built_by_one_worker_only(corpus: Corpus, keyword_encoder: Encoder) -> None:
    row = index_builds.request(corpus, keyword_encoder)
    assert IndexBuild.objects.get(pk=row.pk).claim("other")
    assert index_builds.build(row, worker="test").worker == "other"
    assert row.state == JobState.RUNNING and not (Path(settings.DATA_DIR) / "builds").exists()


def test_a_corpus_without_passages_fails_with_its_reason(keyword_encoder: Encoder) -> None:
    row = index_builds.request(Corpus.objects.create(slug="empty", name="Empty"), keyword_encoder)
    with pytest.raises(index_builds.BuildError, match="empty has no passages"):
        index_builds.build(row, worker="test")
    row.refresh_from_db()
    assert row.state == JobState.FAILED and "empty has no passages" in row.reason


def test_a_build_with_missing_weights_fails_with_its_reason(corpus: Corpus, keyword_encoder: Encoder) -> None:
    Encoder.objects.update(passage_path="/no/such/folder")
    row = index_builds.request(corpus, Encoder.objects.get())
    with pytest.raises(index_builds.BuildError, match="/no/such/folder"):
        index_builds.build(row, worker="test")
    assert IndexBuild.objects.get(pk=row.pk).state == JobState.FAILED


def test_a_cancelled_build_stops_at_its_next_heartbeat(corpus: Corpus, keyword_encoder: Encoder) -> None:
    row = index_builds.request(corpus, keyword_encoder)

    def cancel(done: int, total: int, note: str) -> None:
        if str(note) == "embedding":
            IndexBuild.objects.get(pk=row.pk).cancel("changed my mind")

    with pytest.raises(ClaimLost):
        index_builds.build(row, worker="test", on_progress=cancel)
    row.refresh_from_db()
    assert (row.state, row.reason) == (JobState.CANCELLED, "changed my mind")
    assert not (Path(settings.DATA_DIR) / "builds").exists()


def test_two_requests_get_two_numbers(corpus: Corpus, keyword_encoder: Encoder) -> None:
    assert [index_builds.request(corpus, keyword_encoder).number for _ in range(2)] == [1, 2]


def test_an_overdue_build_is_returned_once_by_the_recovery(corpus: Corpus, keyword_encoder: Encoder) -> None:
    row = index_builds.request(corpus, keyword_encoder)
    assert recover(IndexBuild) == []
    IndexBuild.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert recover(IndexBuild) == [row]
    assert recover(IndexBuild) == []


def test_a_build_that_loses_every_worker_fails_once(corpus: Corpus, keyword_encoder: Encoder) -> None:
    row = index_builds.request(corpus, keyword_encoder)
    silent = timezone.now() - timedelta(hours=1)
    for attempt in range(1, IndexBuild.MAX_ATTEMPTS + 1):
        assert row.claim(f"worker {attempt}")
        IndexBuild.objects.update(heartbeat_at=silent)
        again = recover(IndexBuild)
        assert again == ([row] if attempt < IndexBuild.MAX_ATTEMPTS else [])
        row.refresh_from_db()
    assert row.state == JobState.FAILED and "stopped responding" in row.reason
    assert recover(IndexBuild) == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("note", "done", "embedded_before"),
    [("embedding", dense_index.SHARD_SIZE + 1, dense_index.SHARD_SIZE), ("verifying", 1, None)],
)
def test_a_killed_build_resumes_once_from_its_shards(
    corpus: Corpus,
    keyword_encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    note: str,
    done: int,
    embedded_before: int | None,
) -> None:
    more = [SourceDocument(f"n{n}", "", f"lion tiger {n}") for n in range(2 * dense_index.SHARD_SIZE)]
    ingest.ingest(corpus, more, whole=True)
    total = corpus.passages.count()
    row = index_builds.request(corpus, keyword_encoder)
    environment = process_environment() | {
        "DATA_DIR": str(settings.DATA_DIR),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": os.getcwd(),
    }
    child = subprocess.run(
        [sys.executable, "-c", KILLED_AT, str(row.pk), note, str(done)], env=environment, check=False, timeout=120
    )
    assert child.returncode == -9

    row.refresh_from_db()
    assert (row.state, row.worker, row.sha256) == (JobState.RUNNING, "killed", "")
    with pytest.raises(search.CannotSearch):
        search.search(row, "lion")
    assert recover(IndexBuild) == []  # the worker may only be slow
    IndexBuild.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert recover(IndexBuild) == [row]
    assert recover(IndexBuild) == []

    embedded: list[int] = []
    encode: Callable[..., np.ndarray] = TextEncoder.encode_passages

    def counted(self, texts, on_progress=None):  # type: ignore[no-untyped-def]
        embedded.append(len(texts))
        return encode(self, texts, on_progress)

    monkeypatch.setattr(TextEncoder, "encode_passages", counted)
    finished = index_builds.build(IndexBuild.objects.get(pk=row.pk), worker="second")
    assert (finished.state, finished.attempts, finished.passage_count) == (JobState.DONE, 2, total)
    assert sum(embedded) == (0 if embedded_before is None else total - embedded_before)
    artifacts.verify(Path(settings.DATA_DIR) / finished.path, finished.sha256)
    assert search.search(finished, "zebra stripes")[0].passage_id == corpus.passages.get(external_id="zebra").pk
