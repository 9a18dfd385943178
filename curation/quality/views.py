"""Quality page of a project. Each chart has a table, each table a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from curation.core.permissions import role_required
from curation.models import Membership, Project
from curation.quality import quality_statistics

TABLES: dict[str, Callable[[Project, list[quality_statistics.GradeRow]], quality_statistics.Table]] = {
    "throughput": lambda project, grades: quality_statistics.submissions_per_day(project),
    "grades": quality_statistics.grade_histogram,
    "weeks": lambda project, grades: quality_statistics.weekly_agreement(grades),
    "people": quality_statistics.annotator_statistics,
    "gold": lambda project, grades: quality_statistics.gold_accuracy(project),
    "pairs": lambda project, grades: quality_statistics.pairwise_agreement(grades),
}


@require_safe
@role_required(Membership.Role.MANAGER)
def quality(request: HttpRequest, project: Project) -> HttpResponse:
    grades = quality_statistics.newest_grades(project)
    context = {
        "project": project,
        "progress": quality_statistics.progress(project),
        "median_seconds": quality_statistics.median_seconds(grades),
        "agreement": quality_statistics.agreement_of(grades),
        "coverage": quality_statistics.coverage(project),
        "judgements": len(grades),
        "is_cut": len(grades) == quality_statistics.MAX_GRADES,
        "tables": {name: table(project, grades) for name, table in TABLES.items()},
    }
    return render(request, "curation/quality/quality.html", context)


@require_safe
@role_required(Membership.Role.MANAGER)
def quality_csv(request: HttpRequest, project: Project, name: str) -> HttpResponse:
    """Return one table of the page as CSV."""
    if name not in TABLES:
        raise Http404
    table = TABLES[name](project, quality_statistics.newest_grades(project))
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{project.slug}-{name}.csv"'
    rows = csv.writer(response)
    rows.writerow(table.columns)
    rows.writerows([["" if cell is None else _without_formula(cell) for cell in row] for row in table.rows])
    return response


def _without_formula(cell: quality_statistics.Cell) -> quality_statistics.Cell:
    """Return the cell; a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell
