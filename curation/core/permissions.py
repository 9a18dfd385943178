"""Who may do what in a project. A stranger is never told that it exists."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from config.compiled import Compiled
from curation.models import Membership, Project

Person = AbstractBaseUser | AnonymousUser
View = Callable[..., HttpResponseBase]
ProjectView = Callable[Concatenate[Any, Project, ...], HttpResponseBase]

Role = Membership.Role
_RANK = {role: rank for rank, role in enumerate(Role.values)}
_by_slug = Compiled(
    lambda slug, user: Membership.objects.select_related("project__corpus").filter(project__slug=slug, user_id=user)
)


def membership_of(user: Person, project: Project) -> Membership | None:
    """The person's membership; none for a stranger. A superuser is always a manager, if need be unsaved."""
    if not user.is_authenticated:
        return None
    found = Membership.objects.filter(project=project, user_id=user.pk).first()
    if getattr(user, "is_superuser", False):
        found = found or Membership(project=project, user_id=user.pk)
        found.role = Role.MANAGER
    return found


def may(user: Person, project: Project, role: str) -> bool:
    """Whether the person's role in the project is this one or a higher one."""
    membership = membership_of(user, project)
    return membership is not None and reaches(membership, role)


def reaches(membership: Membership, role: str) -> bool:
    """Whether the membership's role is this one or a higher one."""
    return _RANK[membership.role] >= _RANK[role]


def project_for(user: Person, slug: str, role: str) -> tuple[Project, Membership]:
    """The project of that name with the person's membership in it: the one check behind pages and API.

    Raises Http404 when there is no such project or the person is not of it, PermissionDenied when the
    role is too low.
    """
    membership = _membership_in(user, slug)
    if membership is None:
        raise Http404(_("There is no such project."))
    if not reaches(membership, role):
        raise PermissionDenied(_("Your role in this project does not allow that."))
    return membership.project, membership


def _membership_in(user: Person, slug: str) -> Membership | None:
    """The person's membership in the project of that name, both in one statement: every request asks for them."""
    if not user.is_authenticated:
        return None
    found = _by_slug.first(slug, user.pk)
    if getattr(user, "is_superuser", False):
        if found is None:
            project = Project.objects.select_related("corpus").filter(slug=slug).first()
            found = Membership(project=project, user_id=user.pk) if project else None
        if found is not None:
            found.role = Role.MANAGER
    return found


def require(role: str) -> Callable[[ProjectView], View]:
    """Let a view in only with this role or a higher one.

    The URL gives `slug`; the view gets the Project in its place, and `request.membership`. Who is not
    signed in goes to the login page, a stranger gets 404, a member of too low a role 403.

        @require(Membership.Role.REVIEWER)
        def reviews(request: HttpRequest, project: Project) -> HttpResponse: ...
    """

    def guard(view: ProjectView) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            project, membership = project_for(request.user, slug, role)
            request.membership = membership  # type: ignore[attr-defined]
            return view(request, project, *args, **kwargs)

        return guarded

    return guard
