"""Import documents of any known format into a project's corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser
from django.core.validators import validate_slug
from django.db import transaction

from common.base_command import TandemCommand
from curation.exchange import lookups
from curation.review import staleness
from retrieval.documents import ingest, readers


class Command(TandemCommand):
    help = (
        "Import documents: JSONL, CSV, Markdown, plain text, BEIR, or a folder of these. Creates the project if needed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--format", choices=readers.FORMATS, help="Default: by the suffix.")

    def run(self, **options: Any) -> dict[str, Any]:
        try:
            validate_slug(options["project"])
        except ValidationError as error:
            self.usage(f"--project {options['project']}: {error.messages[0]}")
        formats = [(path, options["format"] or readers.detect_format(path)) for path in options["paths"]]
        result = self._import(options["project"], formats)
        stale = staleness.of_ingest(result)
        self.report(
            f"{result.documents:,} new documents, {result.passages:,} new passages, {result.unchanged:,} unchanged, "
            f"{result.retired:,} passages retired, {result.skipped:,} without text"
        )
        for note in stale.notes:
            self.report(note)
        return {
            "documents": result.documents,
            "passages": result.passages,
            "unchanged": result.unchanged,
            "retired": result.retired,
            "skipped": result.skipped,
            "expired": stale.judgements,
        }

    @transaction.atomic
    def _import(self, slug: str, formats: list[tuple[Path, str]]) -> ingest.IngestResult:
        """Import all files or none. BEIR rows are whole passages; the other documents are chunked."""
        corpus = lookups.get_or_create_project(slug).corpus
        result = ingest.IngestResult()
        for whole in (True, False):
            files = [(path, name) for path, name in formats if (name == "beir") == whole]
            if files:
                sources = (source for path, name in files for source in readers.read_documents(path, name))
                result += ingest.ingest(
                    corpus, sources, whole=whole, on_progress=lambda n, total: self.progress(n, total, "documents")
                )
        return result
