"""Queries in; with the passages they were shown and the answer they got, where the file has them."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from curation.core.project_command import ProjectCommand
from curation.exchange import importers
from curation.management.commands.import_beir import report
from curation.queries import intake
from curation.releases import lifecycle
from retrieval.search.search import CannotSearch


class Command(ProjectCommand):
    help = 'Import queries: JSONL rows {"_id", "text", "passages": [ids]?, "answer"?}.'
    errors = (CannotSearch,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)
        super().add_arguments(parser)

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        done = importers.import_queries(project, options["path"])
        try:
            intake.take_up(project, on_progress=lambda done, total: self.progress(done, total, "searching"))
        except lifecycle.NothingServes as error:
            self.report(f"They wait for the first build. {error}")
        return report(self, done)
