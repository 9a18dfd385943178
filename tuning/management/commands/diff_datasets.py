"""Differences between two datasets."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from common.artifacts import Damaged
from curation.core.project_command import ProjectCommand
from curation.models import Project
from tuning.datasets import diff
from tuning.models import Dataset


class Command(ProjectCommand):
    help = "List the queries that were added, removed or changed between two datasets."
    errors = (Damaged,)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("old", type=int, metavar="OLD", help="A dataset's number.")
        parser.add_argument("new", type=int, metavar="NEW")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        old, new = self._dataset(project, options["old"]), self._dataset(project, options["new"])
        difference = diff.compare_datasets(old, new)
        for mark, rows in (("+", difference.added), ("-", difference.removed)):
            for row in rows:
                self.report(f"{mark} {row.query_id}: {row.text}")
        for query in difference.changed:
            self.report(f"~ {query.after.query_id}: {query.after.text} ({', '.join(query.aspects)})")
        added, removed, changed = len(difference.added), len(difference.removed), len(difference.changed)
        self.report(f"{added} added, {removed} removed, {changed} changed, {difference.same} same")
        return difference.as_json()

    def _dataset(self, project: Project, number: int) -> Dataset:
        dataset = project.datasets.filter(number=number).first()
        if dataset is None:
            self.usage(f"{project.slug} has no dataset {number}")
        return dataset
