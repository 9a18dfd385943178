"""Leases: how long a claim lasts without activity, and what happens when it expires."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from curation.annotation.assignments import NotClaimed, build_replacement, lock, take_free_slot
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.models import Assignment, Project

_BATCH_SIZE = 500

State = Assignment.State


class LeaseLost(CurationError):
    """The lease expired and another person has the slot. The grades are kept; a submit counts as an extra."""


@transaction.atomic
def renew(assignment: Assignment) -> Assignment:
    """Renew the lease. An expired claim is resumed while its slot is free. Raises LeaseLost, NotClaimed."""
    row = lock(assignment)
    if row.state == State.CLAIMED:
        return extend(row, row.project)
    if row.state != State.EXPIRED:
        raise NotClaimed(_("You do not hold this assignment any more."))
    if not resume(row):
        raise LeaseLost(_("Your reservation expired and somebody else has this query. Your grades are kept."))
    return row


def extend(row: Assignment, project: Project) -> Assignment:
    """Renew the lease of a claimed row. Work that a reviewer sent back has no lease and gets none."""
    if row.lease_until is not None:
        row.lease_until = timezone.now() + timedelta(seconds=project.lease_seconds)
        row.save(update_fields=["lease_until"])
    return row


def resume(row: Assignment) -> bool:
    """Claim an expired row, which the caller has locked, for its person again; false where no slot is free."""
    if not take_free_slot(row):
        return False
    row.state = State.CLAIMED
    row.lease_until = timezone.now() + timedelta(seconds=row.project.lease_seconds)
    row.save(update_fields=["slot", "is_extra", "state", "lease_until"])
    audit_log.record("resumed", project=row.project, actor=row.curator_id, query=row.query_id, assignment=row)
    return True


def expire_overdue(now: datetime | None = None) -> int:
    """Expire every claim whose lease has expired; return how many. The grades are kept."""
    when = now or timezone.now()
    count = 0
    while True:
        with transaction.atomic():
            overdue = Assignment.objects.filter(state=State.CLAIMED, lease_until__lt=when).order_by("lease_until")
            rows = list(overdue.select_for_update(skip_locked=True, of=("self",))[:_BATCH_SIZE])
            expire(rows)
        count += len(rows)
        if len(rows) < _BATCH_SIZE:
            return count


def expire(rows: Sequence[Assignment]) -> None:
    """Expire these claims, which the caller has locked. A fresh open row takes the slot of each."""
    Assignment.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.EXPIRED)
    Assignment.objects.bulk_create([build_replacement(row) for row in rows if not row.is_extra])
    audit_log.record_many("lapsed", rows)


@transaction.atomic
def end(assignment: Assignment, actor: AbstractBaseUser | None = None) -> Assignment:
    """End a lease early, as if it had expired. Raises NotClaimed."""
    row = lock(assignment)
    if row.state != State.CLAIMED:
        raise NotClaimed(_("Nobody holds this assignment."))
    expire([row])
    audit_log.record("lease_released", project=row.project, actor=actor, query=row.query_id, assignment=row)
    row.refresh_from_db(fields=["state"])
    return row
