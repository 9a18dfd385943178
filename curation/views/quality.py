"""Pages: the picture for managers. Each chart has its table, each table its CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from curation import measuring
from curation.core.permissions import require
from curation.models import Membership, Project

TABLES: dict[str, Callable[[Project, list[measuring.Grade]], measuring.Table]] = {
    "throughput": lambda project, grades: measuring.throughput(project),
    "grades": measuring.histogram,
    "weeks": lambda project, grades: measuring.weeks(grades),
    "people": measuring.people,
    "gold": lambda project, grades: measuring.gold(project),
    "pairs": lambda project, grades: measuring.pairs(grades),
}


@require_safe
@require(Membership.Role.MANAGER)
def quality(request: HttpRequest, project: Project) -> HttpResponse:
    grades = measuring.newest_grades(project)
    context = {
        "project": project,
        "progress": measuring.progress(project),
        "median_seconds": measuring.median_seconds(grades),
        "agreement": measuring.agreement_of(grades),
        "coverage": measuring.coverage(project),
        "judgements": len(grades),
        "is_cut": len(grades) == measuring.NEWEST,
        "tables": {name: table(project, grades) for name, table in TABLES.items()},
    }
    return render(request, "curation/quality.html", context)


@require_safe
@require(Membership.Role.MANAGER)
def quality_csv(request: HttpRequest, project: Project, name: str) -> HttpResponse:
    """One table of the page as CSV."""
    if name not in TABLES:
        raise Http404
    table = TABLES[name](project, measuring.newest_grades(project))
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{project.slug}-{name}.csv"'
    rows = csv.writer(response)
    rows.writerow(table.columns)
    rows.writerows([["" if cell is None else _harmless(cell) for cell in row] for row in table.rows])
    return response


def _harmless(cell: measuring.Cell) -> measuring.Cell:
    """A text that a spreadsheet would run as a formula, made plain text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell
