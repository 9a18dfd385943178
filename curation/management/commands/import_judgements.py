"""Import judgements of several curators; the project's overlap and consensus settle them."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from curation.core.project_command import ProjectCommand
from curation.exchange.import_judgements import import_judgements
from curation.management.import_report import report_import


class Command(ProjectCommand):
    help = 'Import judgements: JSONL rows {"query_id", "corpus_id", "curator", "grade", "comment"?}.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)
        super().add_arguments(parser)

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        return report_import(self, import_judgements(project, options["path"]))
