"""What the commands about one project share."""

from __future__ import annotations

from django.core.management.base import CommandParser

from common.base_command import TandemCommand
from curation.models import Project


class ProjectCommand(TandemCommand):
    """A command about one project, which --project names."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")

    def project(self, slug: str) -> Project:
        """The project with its corpus. Ends the command with status 2 where there is none."""
        found = Project.objects.select_related("corpus").filter(slug=slug).first()
        if found is None:
            self.usage(f"there is no project {slug}")
        return found
