"""Hot reads: each hand-written statement is the ORM's own, and returns the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from common.raw_query import RawQuery
from curation.annotation import claims, hot_reads, judgements
from curation.core import audit_log, permissions
from curation.models import Assignment, Draft, Project, Query

Wait = Callable[..., Query]
MODULES = (hot_reads, permissions, audit_log)
READS = {name: read for module in MODULES for name, read in vars(module).items() if isinstance(read, RawQuery)}


@pytest.fixture
def values(project: Project, alice: User, wait: Wait) -> dict[str, tuple[object, ...]]:
    """The values of each statement for one claimed assignment with a grade, an answer and a draft."""
    wait()
    row = claims.claim_next(project, alice)
    assert row is not None and row.ranking_id is not None
    judgements.record(row, row.order[0], 2, evidence=[[0, 3]], key="key")
    judgements.write_answer(row, "The lion.")
    Draft.objects.create(ranking_id=row.ranking_id, text="The lion.")
    return {
        "locked_assignment": (row.pk,),
        "locked_membership": (project.pk, alice.pk),
        "claimed_assignments": (alice.pk, project.pk, Assignment.State.CLAIMED),
        "passage_to_grade": (row.pk, row.order[0], row.order[0]),
        "judgement_by_id": (row.judgements.get().pk,),
        "standing_judgements": (row.pk,),
        "answer_of_assignment": (row.pk,),
        "draft_of_ranking": (row.ranking_id,),
        "membership_of_project": (project.pk, alice.pk),
        "project_of_member": (alice.pk, project.slug),
        "event_by_key": (alice.pk, "key"),
    }


def _statements(read: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        read()
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("name", READS)
def test_a_hot_read_sends_the_statement_of_the_orm(name: str, values: dict[str, tuple[object, ...]]) -> None:
    read = READS[name]
    with transaction.atomic():
        by_hand = _statements(lambda: read.all(*values[name]))
        assert by_hand == _statements(lambda: list(read.queryset(*values[name])))


@pytest.mark.parametrize("name", READS)
def test_a_hot_read_returns_the_rows_of_the_orm(name: str, values: dict[str, tuple[object, ...]]) -> None:
    read = READS[name]
    with transaction.atomic():
        rows, expected = read.all(*values[name]), list(read.queryset(*values[name]))
    assert len(rows) == 1 and rows == expected
    fields = [field.attname for field in read.model._meta.concrete_fields]
    for field in fields:
        assert getattr(rows[0], field) == getattr(expected[0], field), field
