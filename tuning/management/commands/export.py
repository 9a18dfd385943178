"""Export settled work in the file formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from common.artifacts import Damaged
from curation.core.project_command import ProjectCommand
from curation.engine.generation.gguf import NoGenerator
from curation.releases import lifecycle
from tuning.datasets import collect
from tuning.exports import export
from tuning.models import Split


class Command(ProjectCommand):
    help = "Export settled work: training files, qrels, judgements, or a BEIR folder."
    errors = (export.NothingToExport, lifecycle.NoLiveRelease, NoGenerator, Damaged)

    def add_arguments(self, parser: CommandParser) -> None:
        formats = "; ".join(f"{what}: {', '.join(forms)}" for what, forms in export.FORMATS.items())
        super().add_arguments(parser)
        parser.add_argument("--what", required=True, choices=list(export.FORMATS))
        parser.add_argument("--format", default="", help=formats)
        parser.add_argument("--out", required=True, type=Path, metavar="PATH")
        parser.add_argument(
            "--dataset", type=int, metavar="NUMBER", help="A frozen dataset; default: all settled work."
        )
        parser.add_argument("--split", choices=Split.values, help="Of the dataset; default: all three.")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if options["split"] and options["dataset"] is None:
            self.usage("--split needs --dataset: splits belong to a frozen dataset")
        rows = None
        if options["dataset"] is not None:
            dataset = project.datasets.filter(number=options["dataset"]).first()
            if dataset is None:
                self.usage(f"{project.slug} has no dataset {options['dataset']}")
            rows = collect.read_rows(dataset, options["split"])
        form = options["format"] or next(iter(export.FORMATS[options["what"]]))
        try:
            count = export.export(project, options["what"], form, options["out"], rows)
        except export.UnknownFormat as error:
            self.usage(str(error))
        except FileExistsError:
            self.usage(f"{options['out']} exists already")
        except OSError as error:
            self.usage(f"{options['out']}: {error.strerror or error}")
        self.report(f"{count} rows of {options['what']} in {options['out']}")
        return {"what": options["what"], "format": form, "rows": count, "out": str(options["out"])}
