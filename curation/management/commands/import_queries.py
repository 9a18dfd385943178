"""Import queries, with the passages they were shown and the answers they got where the file has them."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from curation.core.project_command import ProjectCommand
from curation.exchange.import_queries import import_queries
from curation.management.import_report import report_import
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
        result = import_queries(project, options["path"])
        try:
            intake.freeze_waiting(project, on_progress=lambda done, total: self.progress(done, total, "searching"))
        except lifecycle.NoLiveRelease as error:
            self.report(f"The queries wait for the first build. {error}")
        return report_import(self, result)
