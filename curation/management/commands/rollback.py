"""Roll back: make the release before the live one live again."""

from typing import Any

from django.core.management.base import CommandParser

from curation.core.errors import CurationError
from curation.core.project_command import ProjectCommand
from curation.releases import lifecycle


class Command(ProjectCommand):
    help = "Make the release before the live one live again."
    errors = (CurationError,)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        release = lifecycle.roll_back(project)
        self.report(f"Release {release.number} is live.")
        return {"release": release.number, "build": release.build.number}
