"""A job stays alive while its worker works on it, and stores why it ended."""

from __future__ import annotations

import threading
import time

import pytest

from common.heartbeat import ClaimLost, Heartbeat, run_job
from common.jobs import JobState
from retrieval.index import index_builds
from retrieval.models import Corpus, Encoder, IndexBuild


@pytest.fixture
def job(db: None, keyword_encoder: Encoder) -> IndexBuild:
    row = index_builds.request(Corpus.objects.create(slug="empty", name="Empty"), keyword_encoder)
    assert row.claim("worker")
    return row


def test_the_heartbeat_is_recorded_until_the_block_ends(
    job: IndexBuild,
    settings,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.HEARTBEAT_SECONDS = 0.01
    twice = threading.Event()
    heartbeats: list[int] = []

    def record(self: IndexBuild) -> bool:
        heartbeats.append(1)
        if len(heartbeats) == 2:
            twice.set()
        return True

    monkeypatch.setattr(IndexBuild, "record_heartbeat", record)
    with Heartbeat(job) as heartbeat:
        assert twice.wait(10)
        heartbeat.check()
    count = len(heartbeats)
    time.sleep(0.05)
    assert len(heartbeats) == count


def test_a_lost_claim_ends_the_work_and_leaves_the_row(
    job: IndexBuild,
    settings,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.HEARTBEAT_SECONDS = 0.01
    monkeypatch.setattr(IndexBuild, "record_heartbeat", lambda self: False)
    with run_job(job, (ValueError,)) as heartbeat:
        assert heartbeat._lost.wait(10)
        with pytest.raises(ClaimLost):
            heartbeat.check()
        heartbeat.check()
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_an_expected_error_is_the_reason_and_goes_no_further(job: IndexBuild) -> None:
    with run_job(job, (ValueError,)):
        raise ValueError("too little")
    assert (job.state, job.reason) == (JobState.FAILED, "too little")


def test_an_unexpected_error_is_the_reason_and_is_raised(job: IndexBuild) -> None:
    with pytest.raises(ZeroDivisionError), run_job(job, (ValueError,)):
        raise ZeroDivisionError("by zero")
    assert (job.state, job.reason) == (JobState.FAILED, "ZeroDivisionError: by zero")


def test_a_row_of_another_worker_takes_no_heartbeat(job: IndexBuild) -> None:
    assert job.record_heartbeat(1, 2, "embedding") and job.progress_done == 1
    IndexBuild.objects.update(worker="another")
    assert not job.record_heartbeat()
