"""The base of every API view of a project."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from curation.core.permissions import project_for
from curation.models import (
    Membership,
    Project,
)


class ProjectMixin:
    """Finds the project of the address: 404 for a stranger, 403 for too low a role."""

    role: str = Membership.Role.ANNOTATOR
    kwargs: dict[str, Any]
    request: Request

    def project(self) -> Project:
        return project_for(self.request.user, self.kwargs["slug"], self.role)[0]

    def membership(self) -> Membership:
        """The person's own, with the project."""
        return project_for(self.request.user, self.kwargs["slug"], self.role)[1]
