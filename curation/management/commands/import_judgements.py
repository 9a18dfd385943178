"""Judgements of several curators in; the project's overlap and consensus settle them."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from curation import importing
from curation.management.commands.import_beir import report
from curation.models import Project
from retrieval.commanding import TandemCommand


class Command(TandemCommand):
    help = 'Import judgements: JSONL rows {"query_id", "corpus_id", "curator", "grade", "comment"?}.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--project", required=True, metavar="SLUG")

    def run(self, **options: Any) -> dict[str, Any]:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            self.usage(f"there is no project {options['project']!r}")
        return report(self, importing.import_judgements(project, options["path"]))
