"""Queries in; with the passages they were shown and the answer they got, where the file has them."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from curation import asking, importing, serving
from curation.management.commands.import_beir import report
from curation.models import Project
from retrieval.commanding import TandemCommand
from retrieval.searching import CannotSearch


class Command(TandemCommand):
    help = 'Import queries: JSONL rows {"_id", "text", "passages": [ids]?, "answer"?}.'
    errors = (CannotSearch,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--project", required=True, metavar="SLUG")

    def run(self, **options: Any) -> dict[str, Any]:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            self.usage(f"there is no project {options['project']!r}")
        done = importing.import_queries(project, options["path"])
        try:
            asking.take_up(project, on_progress=lambda done, total: self.progress(done, total, "searching"))
        except serving.NothingServes as error:
            self.say(f"They wait for the first build. {error}")
        return report(self, done)
