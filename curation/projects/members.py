"""Who is of a project: admit, change, dismiss.

Each change is a line of the record. A project keeps a manager: the last one neither leaves nor steps down.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from curation.annotation import assignments
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.models import Assignment, Membership, Project

Role = Membership.Role


class AlreadyMember(CurationError):
    """The person is of the project already."""


class LastManager(CurationError):
    """Nobody would be left to run the project."""


class NotMember(CurationError):
    """Somebody else has taken the person out of the project meanwhile."""


def admit(
    project: Project, user: AbstractBaseUser, role: str, *, daily_quota: int = 0, actor: AbstractBaseUser
) -> Membership:
    """The person as a member with this role. Raises AlreadyMember."""
    try:
        with transaction.atomic():
            found = Membership.objects.create(project=project, user_id=user.pk, role=role, daily_quota=daily_quota)
            data = {"user": user.pk, "role": role, "daily_quota": daily_quota}
            audit_log.note("member_added", project=project, actor=actor, data=data)
    except IntegrityError as error:
        raise AlreadyMember(_("%(name)s is of this project already.") % {"name": user}) from error
    return found


@transaction.atomic
def change(membership: Membership, role: str, daily_quota: int, is_paused: bool, *, actor: AbstractBaseUser) -> None:
    """Another role, quota or pause; a pause keeps what the person holds, and lets them claim nothing new.

    Raises LastManager when the only manager would step down, NotMember.
    """
    row = _locked(membership)
    if role != Role.MANAGER:
        _check_not_last(row)
    was = {"role": row.role, "daily_quota": row.daily_quota, "is_paused": row.is_paused}
    now = {"role": str(role), "daily_quota": daily_quota, "is_paused": is_paused}
    if was == now:
        return
    Membership.objects.filter(pk=row.pk).update(**now)
    audit_log.note(
        "member_changed", project=row.project_id, actor=actor, data={"user": row.user_id, "was": was, "now": now}
    )


@transaction.atomic
def dismiss(membership: Membership, *, actor: AbstractBaseUser) -> None:
    """Take the person out: what they hold goes back to the queue, what they judged stays.

    Raises LastManager for the only manager, NotMember.
    """
    row = _locked(membership)
    _check_not_last(row)
    held = Assignment.objects.filter(
        project=row.project_id, curator_id=row.user_id, state=Assignment.State.CLAIMED
    ).order_by("pk")
    assignments.lapse(list(held.select_for_update(of=("self",))))
    data = {"user": row.user_id, "role": row.role}
    audit_log.note("member_removed", project=row.project_id, actor=actor, data=data)
    row.delete()


def _locked(membership: Membership) -> Membership:
    """The membership as it is now. A claim waits for it, and so does a change of any manager of the project."""
    managers = Membership.objects.filter(project=membership.project_id, role=Role.MANAGER)
    rows = Membership.objects.filter(pk=membership.pk) | managers
    found = {row.pk: row for row in rows.order_by("pk").select_for_update()}
    if membership.pk not in found:
        raise NotMember(_("This person is not of the project any more."))
    return found[membership.pk]


def _check_not_last(row: Membership) -> None:
    others = Membership.objects.filter(project=row.project_id, role=Role.MANAGER).exclude(pk=row.pk)
    if row.role == Role.MANAGER and not others.exists():
        raise LastManager(_("A project needs a manager. Make somebody else one first."))
