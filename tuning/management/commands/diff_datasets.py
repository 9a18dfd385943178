"""What is new in a dataset since another one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from common.artifacts import Damaged
from curation.core.project_command import ProjectCommand
from curation.models import Project
from tuning.datasets import diff
from tuning.models import Dataset


class Command(ProjectCommand):
    help = "Say which queries of a dataset are new, gone or changed since another one."
    errors = (Damaged,)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("old", type=int, metavar="OLD", help="A dataset's number.")
        parser.add_argument("new", type=int, metavar="NEW")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        found = diff.differ(self._dataset(project, options["old"]), self._dataset(project, options["new"]))
        for mark, rows in (("+", found.added), ("-", found.removed)):
            for row in rows:
                self.report(f"{mark} {row.query_id}: {row.text}")
        for one in found.changed:
            self.report(f"~ {one.after.query_id}: {one.after.text} ({', '.join(one.what)})")
        self.report(f"{len(found.added)} new, {len(found.removed)} gone, {len(found.changed)} changed, {found.same} same")
        return found.as_json()

    def _dataset(self, project: Project, number: int) -> Dataset:
        found = project.datasets.filter(number=number).first()
        if found is None:
            self.usage(f"{project.slug} has no dataset {number}")
        return found
