"""Add a guardrail set to a project: questions that are never tuned for, on which no candidate may get worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from curation.core.project_command import ProjectCommand
from tuning.evaluation import guardrail_files, guardrails


class Command(ProjectCommand):
    help = "Freeze another project's settled work, or a BEIR-like folder, as a guardrail set of a project."
    errors = (guardrails.GuardrailError,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        super().add_arguments(parser)
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--from-project", metavar="SLUG")
        source.add_argument("--folder", type=Path, metavar="DIR", help=", ".join(guardrail_files.FILES))
        parser.add_argument("--margin", type=float, help="Allowed loss of nDCG@10 on the set; default: 0.03.")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if options["margin"] is not None and not 0 <= options["margin"] <= 1:
            self.usage("--margin is between 0 and 1")
        if not options["name"].replace("-", "").replace("_", "").isalnum() or not options["name"].isascii():
            self.usage("NAME is made of letters, digits, hyphens and underscores")
        if options["folder"] is not None:
            added = guardrails.create_from_folder(project, options["folder"], options["name"], options["margin"])
        else:
            source = self.project(options["from_project"])
            added = guardrails.create_from_project(project, source, options["name"], options["margin"])
        self.report(f"guardrail set {added.name}: {added.counts['queries']} questions")
        fields = {"guard_set": added.name, "origin": added.origin, "margin": added.margin, "sha256": added.sha256}
        return fields | dict(added.counts)
