"""The release before serves again."""

from typing import Any

from django.core.management.base import CommandParser

from curation.core.errors import CurationError
from curation.core.project_command import ProjectCommand
from curation.releases import lifecycle


class Command(ProjectCommand):
    help = "Put the release before the serving one back in service."
    errors = (CurationError,)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        now = lifecycle.roll_back(project)
        self.report(f"Release {now.number} serves.")
        return {"release": now.number, "build": now.build.number}
