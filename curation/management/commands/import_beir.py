"""Import a BEIR folder: documents, queries, settled judgements and answers."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.text import slugify

from common.base_command import TandemCommand
from curation.exchange.import_beir import DEFAULT_CURATOR, import_beir
from curation.management.import_report import report_import


class Command(TandemCommand):
    help = "Import a BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv as settled judgements, answers.jsonl."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--project", required=True, metavar="SLUG", help="Created if there is none of that name.")
        parser.add_argument("--corpus-only", action="store_true", help="Documents only.")
        parser.add_argument("--queries-split", metavar="S", help="Only the queries of qrels/S.tsv.")
        parser.add_argument("--judge-split", metavar="S", help="Import the judgements of qrels/S.tsv as settled.")
        parser.add_argument("--curator", default=DEFAULT_CURATOR, metavar="NAME", help="Author of the judgements.")

    def run(self, **options: Any) -> dict[str, Any]:
        if options["project"] != slugify(options["project"]):
            self.usage(f"--project {options['project']!r} is not a slug: letters, digits and hyphens")
        result = import_beir(
            options["folder"],
            options["project"],
            corpus_only=options["corpus_only"],
            queries_split=options["queries_split"],
            judge_split=options["judge_split"],
            curator=options["curator"],
            on_progress=self.progress,
        )
        return report_import(self, result)
