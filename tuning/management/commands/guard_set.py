"""Add a guardrail set to a project: questions no one tunes for, on which a challenger may not get worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from curation.core.project_command import ProjectCommand
from tuning.evaluation import guardrails


class Command(ProjectCommand):
    help = "Freeze another project's settled work, or a BEIR-like folder, as a guardrail set of a project."
    errors = (guardrails.CannotGuard,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        super().add_arguments(parser)
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--from-project", metavar="SLUG")
        source.add_argument("--folder", type=Path, metavar="DIR", help=", ".join(guardrails.FILES))
        parser.add_argument("--margin", type=float, help="How much worse nDCG@10 may be on it; 0.03 without it.")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if options["margin"] is not None and not 0 <= options["margin"] <= 1:
            self.usage("--margin is between 0 and 1")
        if not options["name"].replace("-", "").replace("_", "").isalnum() or not options["name"].isascii():
            self.usage("NAME is made of letters, digits, hyphens and underscores")
        if options["folder"] is not None:
            made = guardrails.from_folder(project, options["folder"], options["name"], options["margin"])
        else:
            source = self.project(options["from_project"])
            made = guardrails.from_project(project, source, options["name"], options["margin"])
        self.report(f"guardrail set {made.name}: {made.counts['queries']} questions")
        return {
            "guard_set": made.name,
            "origin": made.origin,
            "margin": made.margin,
            "sha256": made.sha256,
        } | made.counts
