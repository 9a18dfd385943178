"""Base class of the API views of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curation.core.permissions import authorize
from curation.models import Membership, Project

if TYPE_CHECKING:
    from rest_framework.views import APIView
else:
    APIView = object


class ProjectMixin(APIView):
    """Find the project of the URL: 404 for a stranger, 403 for a role that is too low."""

    role: str = Membership.Role.ANNOTATOR
    kwargs: dict[str, Any]

    def project(self) -> Project:
        """Return the project of the URL."""
        return authorize(self.request.user, self.kwargs["slug"], self.role)[0]

    def membership(self) -> Membership:
        """Return the person's membership, with the project."""
        return authorize(self.request.user, self.kwargs["slug"], self.role)[1]
