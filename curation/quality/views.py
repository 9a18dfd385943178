"""Pages: the picture for managers. Each chart has its table, each table its CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from curation.core.permissions import require
from curation.models import Membership, Project
from curation.quality import quality_statistics

TABLES: dict[str, Callable[[Project, list[quality_statistics.Grade]], quality_statistics.Table]] = {
    "throughput": lambda project, grades: quality_statistics.throughput(project),
    "grades": quality_statistics.histogram,
    "weeks": lambda project, grades: quality_statistics.weeks(grades),
    "people": quality_statistics.people,
    "gold": lambda project, grades: quality_statistics.gold(project),
    "pairs": lambda project, grades: quality_statistics.pairs(grades),
}


@require_safe
@require(Membership.Role.MANAGER)
def quality(request: HttpRequest, project: Project) -> HttpResponse:
    grades = quality_statistics.newest_grades(project)
    context = {
        "project": project,
        "progress": quality_statistics.progress(project),
        "median_seconds": quality_statistics.median_seconds(grades),
        "agreement": quality_statistics.agreement_of(grades),
        "coverage": quality_statistics.coverage(project),
        "judgements": len(grades),
        "is_cut": len(grades) == quality_statistics.NEWEST,
        "tables": {name: table(project, grades) for name, table in TABLES.items()},
    }
    return render(request, "curation/quality/quality.html", context)


@require_safe
@require(Membership.Role.MANAGER)
def quality_csv(request: HttpRequest, project: Project, name: str) -> HttpResponse:
    """One table of the page as CSV."""
    if name not in TABLES:
        raise Http404
    table = TABLES[name](project, quality_statistics.newest_grades(project))
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{project.slug}-{name}.csv"'
    rows = csv.writer(response)
    rows.writerow(table.columns)
    rows.writerows([["" if cell is None else _harmless(cell) for cell in row] for row in table.rows])
    return response


def _harmless(cell: quality_statistics.Cell) -> quality_statistics.Cell:
    """A text that a spreadsheet would run as a formula, made plain text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell
