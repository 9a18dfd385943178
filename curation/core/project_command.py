"""Base class of the management commands that work on one project."""

from __future__ import annotations

from django.core.management.base import CommandParser

from common.base_command import TandemCommand
from curation.models import Project


class ProjectCommand(TandemCommand):
    """A command with the option --project."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")

    def project(self, slug: str) -> Project:
        """Return the project with its corpus. Ends the command with status 2 where it does not exist."""
        project = Project.objects.select_related("corpus").filter(slug=slug).first()
        if project is None:
            self.usage(f"there is no project {slug}")
        return project
