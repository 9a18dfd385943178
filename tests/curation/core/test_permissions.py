"""Permissions: strangers see nothing, members what their role allows."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory

from curation.core import permissions
from curation.models import Membership, Project

Role = Membership.Role
LADDER = [Role.ANNOTATOR, Role.REVIEWER, Role.ENGINEER, Role.MANAGER]


@pytest.mark.parametrize("own", LADDER)
@pytest.mark.parametrize("asked", LADDER)
def test_a_role_includes_the_roles_below_it(project: Project, carol: User, own: str, asked: str) -> None:
    Membership.objects.create(project=project, user=carol, role=own)
    assert permissions.has_role(carol, project, asked) == (LADDER.index(Role(own)) >= LADDER.index(Role(asked)))


def test_a_membership_is_valid_in_one_project_only(project: Project, alice: User) -> None:
    other = Project.objects.create(slug="other", name="Other", corpus=project.corpus)
    assert not permissions.has_role(alice, other, Role.ANNOTATOR)


def test_anonymous_visitors_are_strangers_and_superusers_are_managers(project: Project, carol: User) -> None:
    assert permissions.find_membership(AnonymousUser(), project) is None
    assert permissions.find_membership(carol, project) is None
    carol.is_superuser = True
    assert permissions.has_role(carol, project, Role.MANAGER)
    Membership.objects.create(project=project, user=carol, role=Role.ANNOTATOR)
    assert permissions.has_role(carol, project, Role.MANAGER)


def _get(user: object, slug: str = "zoo") -> HttpResponse:
    @permissions.role_required(Role.REVIEWER)
    def view(request: HttpRequest, project: Project) -> HttpResponse:
        return HttpResponse(project.slug)

    request = RequestFactory().get("/p/zoo/reviews/")
    request.user = user  # type: ignore[assignment]
    return view(request, slug=slug)  # type: ignore[return-value]


def test_a_view_opens_for_the_role(project: Project, bob: User) -> None:
    assert _get(bob).content == b"zoo"


def test_a_view_redirects_anonymous_visitors_to_the_login_page(project: Project) -> None:
    assert _get(AnonymousUser()).status_code == 302


def test_a_view_does_not_exist_for_strangers(project: Project, carol: User, bob: User) -> None:
    for user, slug in ((carol, "zoo"), (bob, "nowhere")):
        with pytest.raises(Http404):
            _get(user, slug)


def test_a_view_refuses_a_role_that_is_too_low(project: Project, alice: User) -> None:
    with pytest.raises(PermissionDenied):
        _get(alice)
