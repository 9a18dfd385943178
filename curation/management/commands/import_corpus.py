"""Documents of any known kind into a project's corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser
from django.core.validators import validate_slug
from django.db import transaction
from django.utils import timezone

from common.base_command import TandemCommand
from curation.exchange import importers
from curation.review import staleness
from retrieval.documents import ingest, readers


class Command(TandemCommand):
    help = (
        "Import documents: JSONL, CSV, Markdown, plain text, BEIR, or a folder of these. Makes the project if need be."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--format", choices=readers.KINDS, help="When the suffix does not tell.")

    def run(self, **options: Any) -> dict[str, Any]:
        try:
            validate_slug(options["project"])
        except ValidationError as error:
            self.usage(f"--project {options['project']}: {error.messages[0]}")
        kinds = [(path, options["format"] or readers.kind_of(path)) for path in options["paths"]]
        done, expired = self._import(options["project"], kinds)
        self.report(
            f"{done.documents:,} new documents, {done.passages:,} new passages, {done.unchanged:,} unchanged, "
            f"{done.retired:,} passages retired, {done.skipped:,} without text"
        )
        for note in expired.notes:
            self.report(note)
        return {
            "documents": done.documents,
            "passages": done.passages,
            "unchanged": done.unchanged,
            "retired": done.retired,
            "skipped": done.skipped,
            "expired": expired.judgements,
        }

    @transaction.atomic
    def _import(self, slug: str, kinds: list[tuple[Path, str]]) -> tuple[ingest.Ingested, staleness.Expired]:
        """All of it or nothing: BEIR rows are passages already, the others are cut."""
        began = timezone.now()
        corpus = importers.project_named(slug).corpus
        done = ingest.Ingested(0, 0, 0, 0, 0)
        for whole in (True, False):
            some = [(path, kind) for path, kind in kinds if (kind == "beir") == whole]
            if some:
                sources = (source for path, kind in some for source in readers.gather(path, kind))
                done += ingest.ingest(
                    corpus, sources, whole=whole, on_progress=lambda n, total: self.progress(n, total, "documents")
                )
        return done, staleness.note(corpus, began)
