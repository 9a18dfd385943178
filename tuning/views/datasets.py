"""Pages: what the machine learned from, dataset by dataset."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from common.artifacts import Damaged
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Membership, Project, Query
from tuning import carding, differing, ruling
from tuning.forms import LicenceForm
from tuning.models import Dataset, Split

PER_PAGE = 30
MOST_LISTED = 200


@require_safe
@require(Membership.Role.ENGINEER)
def datasets(request: MemberRequest, project: Project) -> HttpResponse:
    page = Paginator(project.datasets.all(), PER_PAGE).get_page(request.GET.get("page"))
    rows = [(row, _splits(row)) for row in page]
    form = LicenceForm(instance=project.corpus)
    return render(request, "tuning/datasets.html", {"project": project, "page": page, "rows": rows, "form": form})


@require_POST
@require(Membership.Role.MANAGER)
def licence(request: MemberRequest, project: Project) -> HttpResponse:
    """What the texts of the corpus may be used for, as the cards will say."""
    form = LicenceForm(request.POST, instance=project.corpus)
    if form.is_valid():
        ruling.change_licence(project.corpus, form.cleaned_data["licence"], actor=request.user)
        messages.success(request, _("Saved."))
    else:
        messages.warning(request, " ".join(error for errors in form.errors.values() for error in errors))
    return redirect("tuning:datasets", project.slug)


@require_safe
@require(Membership.Role.ENGINEER)
def dataset(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    found = get_object_or_404(project.datasets.select_related("project__corpus"), number=number)
    context = {
        "project": project,
        "dataset": found,
        "splits": _splits(found),
        "people": carding.people(found),
        "runs": carding.runs(found),
        "before": project.datasets.filter(number__lt=number).first(),
        "others": project.datasets.exclude(number=number)[:MOST_LISTED],
    }
    return render(request, "tuning/dataset.html", context)


@require_safe
@require(Membership.Role.ENGINEER)
def dataset_card(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """The card as a Markdown file."""
    found = get_object_or_404(project.datasets.select_related("project__corpus"), number=number)
    answer = HttpResponse(carding.card(found), content_type="text/markdown; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{project.slug}-dataset-{number}.md"'
    return answer


@require_safe
@require(Membership.Role.ENGINEER)
def dataset_changes(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """What is new since the dataset before, or since the one that `?since=` names."""
    new = get_object_or_404(project.datasets, number=number)
    since = request.GET.get("since", "")
    known = project.datasets.filter(number=int(since)) if since.isdecimal() and len(since) < 10 else None
    old = known.first() if known is not None else project.datasets.filter(number__lt=number).first()
    context: dict[str, Any] = {"project": project, "new": new, "old": old}
    try:
        found = differing.differ(old, new) if old else None
    except Damaged as error:
        return render(request, "tuning/dataset_changes.html", context | {"problem": str(error)}, status=422)
    if found is not None:
        context |= {"difference": found, "parts": _parts(found), "most": MOST_LISTED}
    return render(request, "tuning/dataset_changes.html", context)


def _splits(found: Dataset) -> list[tuple[str, dict[str, int]]]:
    return [(str(Split(name).label), found.counts[name]) for name in Split.values if name in found.counts]


def _parts(found: differing.Difference) -> list[dict[str, Any]]:
    """The three lists as the page shows them: at most MOST_LISTED of each, with the queries that can be linked."""
    what = {
        "text": _("question"),
        "grades": _("grades"),
        "answer": _("answer"),
        "is_unanswerable": _("whether it can be answered"),
        "split": _("split"),
    }
    lists = [
        (_("New"), [(row, "") for row in found.added]),
        (_("Gone"), [(row, "") for row in found.removed]),
        (_("Changed"), [(one.after, ", ".join(what[name] for name in one.what)) for one in found.changed]),
    ]
    shown = {int(row.query_id) for _title, rows in lists for row, _note in rows[:MOST_LISTED]}
    there = set(Query.objects.filter(pk__in=shown).values_list("pk", flat=True))
    return [
        {
            "title": title,
            "count": len(rows),
            "rows": [(row, note, int(row.query_id) in there) for row, note in rows[:MOST_LISTED]],
        }
        for title, rows in lists
    ]
