"""The release before serves again."""

from typing import Any

from django.core.management.base import CommandParser

from curation import serving
from curation.errors import CurationError
from curation.models import Project
from retrieval.commanding import TandemCommand


class Command(TandemCommand):
    help = "Put the release before the serving one back in service."
    errors = (CurationError,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")

    def run(self, **options: Any) -> dict[str, Any]:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            self.usage(f"there is no project {options['project']!r}")
        now = serving.roll_back(project)
        self.say(f"Release {now.number} serves.")
        return {"release": now.number, "build": now.build.number}
