"""Members of a project: add, change, remove.

Each change is an event of the audit log. A project always has a manager: the last one can neither leave nor get
another role.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from curation.annotation import leases
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.models import Assignment, Membership, Project

Role = Membership.Role


class AlreadyMember(CurationError):
    """The person is a member of the project already."""


class LastManager(CurationError):
    """The change would leave the project without a manager."""


class NotMember(CurationError):
    """The person is no longer a member: somebody else has removed them in the meantime."""


def add(
    project: Project, user: AbstractBaseUser, role: str, *, daily_quota: int = 0, actor: AbstractBaseUser
) -> Membership:
    """Make the person a member with this role. Raises AlreadyMember."""
    try:
        with transaction.atomic():
            membership = Membership.objects.create(project=project, user_id=user.pk, role=role, daily_quota=daily_quota)
            data = {"user": user.pk, "role": role, "daily_quota": daily_quota}
            audit_log.record("member_added", project=project, actor=actor, data=data)
    except IntegrityError as error:
        raise AlreadyMember(_("%(name)s is already a member of this project.") % {"name": user}) from error
    return membership


@transaction.atomic
def change(membership: Membership, role: str, daily_quota: int, is_paused: bool, *, actor: AbstractBaseUser) -> None:
    """Set role, daily quota and pause. A paused member keeps their claimed assignments and cannot claim new ones.

    Raises LastManager where the only manager would get another role, NotMember.
    """
    row = _lock(membership)
    if role != Role.MANAGER:
        _check_not_last_manager(row)
    was = {"role": row.role, "daily_quota": row.daily_quota, "is_paused": row.is_paused}
    now = {"role": str(role), "daily_quota": daily_quota, "is_paused": is_paused}
    if was == now:
        return
    Membership.objects.filter(pk=row.pk).update(**now)
    audit_log.record(
        "member_changed", project=row.project_id, actor=actor, data={"user": row.user_id, "was": was, "now": now}
    )


@transaction.atomic
def remove(membership: Membership, *, actor: AbstractBaseUser) -> None:
    """Remove the member: their claimed assignments go back to the queue, their judgements stay.

    Raises LastManager for the only manager, NotMember.
    """
    row = _lock(membership)
    _check_not_last_manager(row)
    claimed = Assignment.objects.filter(
        project=row.project_id, curator_id=row.user_id, state=Assignment.State.CLAIMED
    ).order_by("pk")
    leases.expire(list(claimed.select_for_update(of=("self",))))
    data = {"user": row.user_id, "role": row.role}
    audit_log.record("member_removed", project=row.project_id, actor=actor, data=data)
    row.delete()


def _lock(membership: Membership) -> Membership:
    """Lock and return the current row, with the rows of all managers. A claim of the member waits for it."""
    managers = Membership.objects.filter(project=membership.project_id, role=Role.MANAGER)
    rows = Membership.objects.filter(pk=membership.pk) | managers
    locked = {row.pk: row for row in rows.order_by("pk").select_for_update()}
    if membership.pk not in locked:
        raise NotMember(_("This person is no longer a member of the project."))
    return locked[membership.pk]


def _check_not_last_manager(row: Membership) -> None:
    others = Membership.objects.filter(project=row.project_id, role=Role.MANAGER).exclude(pk=row.pk)
    if row.role == Role.MANAGER and not others.exists():
        raise LastManager(_("A project needs a manager. Make somebody else a manager first."))
