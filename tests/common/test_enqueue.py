"""Tasks are sent after the commit, also by name, and a broker that is down does no harm."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from kombu.exceptions import OperationalError

from common.jobs import enqueue
from curation import tasks

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_task_is_sent_by_its_dotted_path_after_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks.adjust_slots, "apply_async", lambda args, **options: sent.append((*args, options)))
    with transaction.atomic():
        enqueue("curation.tasks.adjust_slots", 7, queue="default")
        assert sent == []
    assert sent == [(7, {"queue": "default", "retry": False})]


def test_a_broker_that_cannot_be_reached_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(tasks.adjust_slots, "apply_async", fail)
    enqueue(tasks.adjust_slots, 7)
    assert "curation.tasks.adjust_slots(7,) was not sent" in caplog.text
