"""Permissions: which role in a project allows what. A stranger cannot learn that a project exists."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from common.raw_query import RawQuery
from curation.models import Membership, Project

Person = AbstractBaseUser | AnonymousUser
View = Callable[..., HttpResponseBase]
ProjectView = Callable[Concatenate[Any, Project, ...], HttpResponseBase]

Role = Membership.Role
_RANK = {role: rank for rank, role in enumerate(Role.values)}

# project id, user id → the membership
membership_of_project = RawQuery(
    Membership,
    'SELECT {columns} FROM "curation_membership" '
    'WHERE ("curation_membership"."project_id" = %s AND "curation_membership"."user_id" = %s)',
    lambda project_id, user_id: Membership.objects.filter(project_id=project_id, user_id=user_id),
)
# slug, user id → the project with the columns of the membership beside its own, under `member_<column>`
_MEMBER_FIELDS = Membership._meta.concrete_fields
project_of_member = RawQuery(
    Project,
    "SELECT {columns}, "
    + ", ".join(f'"curation_membership"."{field.column}" AS "member_{field.column}"' for field in _MEMBER_FIELDS)
    + ' FROM "curation_project" INNER JOIN "curation_membership" ON '
    '("curation_project"."id" = "curation_membership"."project_id") '
    'WHERE ("curation_membership"."user_id" = %s AND "curation_project"."slug" = %s)',
    lambda user_id, slug: Project.objects.filter(memberships__user_id=user_id, slug=slug).annotate(
        **{f"member_{field.column}": F(f"memberships__{field.attname}") for field in _MEMBER_FIELDS}
    ),
)


def find_membership(user: Person, project: Project) -> Membership | None:
    """Return the person's membership in the project; None for a stranger.

    A superuser is a manager of every project; the row is unsaved where they are not a member.
    """
    if not user.is_authenticated:
        return None
    membership = membership_of_project.first(project.pk, user.pk)
    if membership is not None:
        membership.project = project
    if getattr(user, "is_superuser", False):
        membership = membership or Membership(project=project, user_id=user.pk)
        membership.role = Role.MANAGER
    return membership


def has_role(user: Person, project: Project, role: str) -> bool:
    """Whether the person's role in the project is this one or a higher one."""
    membership = find_membership(user, project)
    return membership is not None and is_at_least(membership, role)


def is_at_least(membership: Membership, role: str) -> bool:
    """Whether the membership's role is this one or a higher one."""
    return _RANK[membership.role] >= _RANK[role]


def authorize(user: Person, slug: str, role: str) -> tuple[Project, Membership]:
    """Return the project with the person's membership: the one permission check of pages and API.

    Raises Http404 where the project does not exist or the person is not a member, PermissionDenied where the role
    is too low.
    """
    membership = _find_membership_by_slug(user, slug)
    if membership is None:
        raise Http404(_("There is no such project."))
    if not is_at_least(membership, role):
        raise PermissionDenied(_("You need the %(role)s role.") % {"role": Role(role).label})
    return membership.project, membership


def _find_membership_by_slug(user: Person, slug: str) -> Membership | None:
    """Return the person's membership with its project; None for a stranger and for a slug of no project.

    A member costs one statement: every request needs both rows.
    """
    if not user.is_authenticated:
        return None
    project = project_of_member.first(user.pk, slug)
    membership = _membership_beside(project) if project is not None else None
    if not getattr(user, "is_superuser", False):
        return membership
    if membership is None:
        project = Project.objects.filter(slug=slug).first()
        membership = Membership(project=project, user_id=user.pk) if project else None
    if membership is not None:
        membership.role = Role.MANAGER
    return membership


def _membership_beside(project: Project) -> Membership:
    """Return the membership whose columns were read beside the project."""
    values = [field.to_python(getattr(project, f"member_{field.column}")) for field in _MEMBER_FIELDS]
    membership = Membership.from_db(DEFAULT_DB_ALIAS, [field.attname for field in _MEMBER_FIELDS], values)
    membership.project = project
    return membership


def role_required(role: str) -> Callable[[ProjectView], View]:
    """Decorate a view that only members with this role or a higher one may open.

    The URL gives `slug`; the view gets the Project in its place, and `request.membership`. Anonymous visitors are
    redirected to the login page, strangers get 404, members with a lower role 403.

        @role_required(Membership.Role.REVIEWER)
        def reviews(request: MemberRequest, project: Project) -> HttpResponse: ...
    """

    def decorator(view: ProjectView) -> View:
        @wraps(view)
        def wrapper(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            project, membership = authorize(request.user, slug, role)
            request.membership = membership  # type: ignore[attr-defined]
            return view(request, project, *args, **kwargs)

        return wrapper

    return decorator
