"""A BEIR folder in: documents, queries, settled judgements and answers."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.text import slugify

from common.base_command import TandemCommand
from curation.exchange import importers


class Command(TandemCommand):
    help = "Import a BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv as settled judgements, answers.jsonl."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--project", required=True, metavar="SLUG", help="Made if there is none of that name.")
        parser.add_argument("--corpus-only", action="store_true", help="Documents only.")
        parser.add_argument("--queries-split", metavar="S", help="Only the queries of qrels/S.tsv.")
        parser.add_argument("--judge-split", metavar="S", help="Settle the judgements of qrels/S.tsv.")
        parser.add_argument("--curator", default=importers.DEFAULT_CURATOR, metavar="NAME", help="Whose they are.")

    def run(self, **options: Any) -> dict[str, Any]:
        if options["project"] != slugify(options["project"]):
            self.usage(f"--project {options['project']!r} is not a slug: letters, digits and hyphens")
        done = importers.import_beir(
            options["folder"],
            options["project"],
            corpus_only=options["corpus_only"],
            queries_split=options["queries_split"],
            judge_split=options["judge_split"],
            curator=options["curator"],
            on_progress=self.progress,
        )
        return report(self, done)


def report(command: TandemCommand, done: importers.Imported) -> dict[str, Any]:
    """What was imported, said to the person and given back for --json."""
    counts = {name: getattr(done, name) for name in importers.COUNTED}
    command.report(", ".join(f"{number:,} {name}" for name, number in counts.items()))
    for note in done.notes:
        command.report(note)
    return counts
