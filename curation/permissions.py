"""Who may do what in a project. Roles are a ladder: each may do what the ones below it may."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404

from curation.models import Membership, Project

Role = Membership.Role
LADDER = [Role.ANNOTATOR, Role.REVIEWER, Role.ENGINEER, Role.MANAGER]


def membership_of(user: AbstractBaseUser | AnonymousUser, project: Project) -> Membership | None:
    """The person's membership of the project, None for a stranger. A superuser needs none."""
    return Membership.objects.filter(project=project, user_id=user.pk).first() if user.pk else None


def may(user: AbstractBaseUser | AnonymousUser, project: Project, role: str) -> bool:
    """Whether the person's role in the project is at least this one; a superuser's always is."""
    if getattr(user, "is_superuser", False):
        return True
    membership = membership_of(user, project)
    return membership is not None and LADDER.index(Role(membership.role)) >= LADDER.index(Role(role))


def require(role: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """A view of one project, for members of at least this role; it gets the project in place of the slug.

    Nobody signed in: the sign-in page. A stranger: 404, as if there were no such project. Too low a role: 403.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @login_required
        @wraps(view)
        def permitted(request: HttpRequest, slug: str, **kwargs: Any) -> HttpResponseBase:
            project = get_object_or_404(Project.objects.select_related("corpus"), slug=slug)
            if not may(request.user, project, Role.ANNOTATOR):
                raise Http404
            if not may(request.user, project, role):
                raise PermissionDenied
            return view(request, project, **kwargs)

        return permitted

    return decorate
