"""Jobs that lost their worker or their message are recovered, each once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from common.jobs import JobState
from common.messages import message
from common.recovery import recover
from retrieval.index import index_builds
from retrieval.models import Corpus, Encoder, IndexBuild

AN_HOUR = timedelta(hours=1)


@pytest.fixture
def job(db: None, keyword_encoder: Encoder) -> IndexBuild:
    return index_builds.request(Corpus.objects.create(slug="empty", name="Empty"), keyword_encoder)


def test_a_queued_job_is_returned_once_until_it_is_overdue_again(job: IndexBuild) -> None:
    assert recover(IndexBuild) == []  # its message has just been sent
    IndexBuild.objects.update(created_at=timezone.now() - AN_HOUR)
    assert recover(IndexBuild) == [job]
    assert recover(IndexBuild) == []
    IndexBuild.objects.update(heartbeat_at=timezone.now() - AN_HOUR)
    assert recover(IndexBuild) == [job]


def test_a_running_job_is_queued_again_once_its_heartbeat_is_stale(job: IndexBuild) -> None:
    assert job.claim("lost")
    assert recover(IndexBuild) == []
    IndexBuild.objects.update(heartbeat_at=timezone.now() - AN_HOUR)
    assert recover(IndexBuild) == [job]
    job.refresh_from_db()
    assert (job.state, str(job.reason)) == (JobState.QUEUED, "Worker stopped responding")
    assert recover(IndexBuild) == []


def test_a_job_that_is_lost_too_often_fails_once_with_its_reason(job: IndexBuild) -> None:
    failed: list[IndexBuild] = []
    for attempt in range(1, IndexBuild.MAX_ATTEMPTS + 1):
        assert job.claim(f"worker {attempt}")
        IndexBuild.objects.update(heartbeat_at=timezone.now() - AN_HOUR)
        returned = recover(
            IndexBuild, reason=lambda lost: message("no_passages", corpus=str(lost)), on_failure=failed.append
        )
        assert returned == ([job] if attempt < IndexBuild.MAX_ATTEMPTS else [])
        job.refresh_from_db()
    assert (job.state, str(job.reason)) == (JobState.FAILED, f"{job} has no passages to index")
    assert failed == [job]
    assert recover(IndexBuild, on_failure=failed.append) == [] and failed == [job]


def test_finished_and_cancelled_jobs_are_left_alone(job: IndexBuild) -> None:
    assert job.cancel("no longer needed")
    IndexBuild.objects.update(heartbeat_at=timezone.now() - AN_HOUR, created_at=timezone.now() - AN_HOUR)
    assert recover(IndexBuild) == []
