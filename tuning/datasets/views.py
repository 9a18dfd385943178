"""Pages of the datasets, and the lineage of judgements and releases."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from common.artifacts import Damaged
from curation.annotation import judgements
from curation.annotation.assignments import NotYourAssignment
from curation.core.errors import CurationError
from curation.core.http import MemberRequest
from curation.core.permissions import role_required
from curation.models import Judgement, Membership, Project, Query
from tuning.datasets import dataset_card as cards
from tuning.datasets import diff, lineage
from tuning.datasets import licence as licences
from tuning.datasets.forms import LicenceForm
from tuning.models import Dataset, Split

PER_PAGE = 30
JUDGEMENTS_PER_PAGE = 50
MAX_LISTED = 200


@require_safe
@role_required(Membership.Role.ENGINEER)
def datasets(request: MemberRequest, project: Project) -> HttpResponse:
    page = Paginator(project.datasets.all(), PER_PAGE).get_page(request.GET.get("page"))
    rows = [(row, _splits(row)) for row in page]
    form = LicenceForm(instance=project.corpus)
    return render(
        request, "tuning/datasets/datasets.html", {"project": project, "page": page, "rows": rows, "form": form}
    )


@require_POST
@role_required(Membership.Role.MANAGER)
def licence(request: MemberRequest, project: Project) -> HttpResponse:
    """Change the licence of the corpus, which the cards state."""
    form = LicenceForm(request.POST, instance=project.corpus)
    if form.is_valid():
        licences.change_licence(project.corpus, form.cleaned_data["licence"], actor=request.user)
        messages.success(request, _("Saved."))
    else:
        messages.warning(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
    return redirect("tuning:datasets", project.slug)


@require_safe
@role_required(Membership.Role.ENGINEER)
def dataset(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    row = get_object_or_404(project.datasets.select_related("project__corpus"), number=number)
    context = {
        "project": project,
        "dataset": row,
        "splits": _splits(row),
        "people": cards.annotators(row),
        "runs": cards.runs(row),
        "before": project.datasets.filter(number__lt=number).first(),
        "others": project.datasets.exclude(number=number)[:MAX_LISTED],
    }
    return render(request, "tuning/datasets/dataset.html", context)


@require_safe
@role_required(Membership.Role.ENGINEER)
def dataset_card(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """Download the card as a Markdown file."""
    row = get_object_or_404(project.datasets.select_related("project__corpus"), number=number)
    response = HttpResponse(cards.render_card(row), content_type="text/markdown; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{project.slug}-dataset-{number}.md"'
    return response


@require_safe
@role_required(Membership.Role.ENGINEER)
def dataset_changes(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """Differences from the dataset before, or from the one that `?since=` names."""
    new = get_object_or_404(project.datasets, number=number)
    since = request.GET.get("since", "")
    by_number = project.datasets.filter(number=int(since)) if since.isdecimal() and len(since) < 10 else None
    old = by_number.first() if by_number is not None else project.datasets.filter(number__lt=number).first()
    context: dict[str, Any] = {"project": project, "new": new, "old": old}
    try:
        difference = diff.compare_datasets(old, new) if old else None
    except Damaged as error:
        return render(request, "tuning/datasets/dataset_changes.html", context | {"problem": str(error)}, status=422)
    if difference is not None:
        context |= {"difference": difference, "groups": _groups(difference), "limit": MAX_LISTED}
    return render(request, "tuning/datasets/dataset_changes.html", context)


def _splits(row: Dataset) -> list[tuple[str, dict[str, int]]]:
    return [(str(Split(name).label), row.counts[name]) for name in Split.values if name in row.counts]


def _groups(difference: diff.Difference) -> list[dict[str, Any]]:
    """Return the three lists as the page shows them: at most MAX_LISTED rows each, and whether a query has a page."""
    aspect_names = {
        "text": _("question"),
        "grades": _("grades"),
        "answer": _("answer"),
        "is_unanswerable": _("no answer in corpus"),
        "split": _("split"),
    }
    changed = [(query.after, ", ".join(aspect_names[name] for name in query.aspects)) for query in difference.changed]
    lists = [
        (_("Added"), [(row, "") for row in difference.added]),
        (_("Removed"), [(row, "") for row in difference.removed]),
        (_("Changed"), changed),
    ]
    shown_ids = {int(row.query_id) for _title, rows in lists for row, _note in rows[:MAX_LISTED]}
    existing_ids = set(Query.objects.filter(pk__in=shown_ids).values_list("pk", flat=True))
    return [
        {
            "title": title,
            "count": len(rows),
            "rows": [(row, note, int(row.query_id) in existing_ids) for row, note in rows[:MAX_LISTED]],
        }
        for title, rows in lists
    ]


@require_safe
@role_required(Membership.Role.ANNOTATOR)
def judgement(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """One judgement with its history and the datasets, runs and releases that used it."""
    row = _judgement(request, pk)
    events = project.events.filter(query=row.query_id, passage=row.passage_id, actor=row.curator_id)
    context = {
        "project": project,
        "judgement": row,
        "usage": lineage.usage_of(row),
        "history": events.select_related("actor").order_by("pk"),
        "is_mine": row.curator_id == request.user.pk,
    }
    return render(request, "tuning/datasets/judgement.html", context)


@require_POST
@role_required(Membership.Role.ANNOTATOR)
def withdraw_judgement(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Withdraw one's own grade for good; the response names the datasets and releases that used it."""
    row = _judgement(request, pk)
    try:
        if row.curator_id != request.user.pk:
            raise NotYourAssignment(_("Only the person who gave a grade can withdraw it."))
        judgements.withdraw(row)
    except CurationError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _("Withdrawn.") + " " + _usage_sentence(lineage.usage_of(row)))
    return redirect("tuning:judgement", project.slug, pk)


@require_safe
@role_required(Membership.Role.ENGINEER)
def release_judgements(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """The judgements that a release was trained with, newest first."""
    release = get_object_or_404(project.releases.select_related("build"), number=number)
    rows = lineage.training_judgements(release).select_related("query", "passage", "curator")
    page = Paginator(rows, JUDGEMENTS_PER_PAGE).get_page(request.GET.get("page"))
    runs = lineage.training_runs_of(release).select_related("dataset")
    context = {"project": project, "release": release, "page": page, "runs": runs}
    return render(request, "tuning/datasets/release_judgements.html", context)


def _judgement(request: MemberRequest, pk: int) -> Judgement:
    rows = lineage.readable_judgements(request.membership)
    return get_object_or_404(rows.select_related("query", "passage", "curator", "assignment"), pk=pk)


def _usage_sentence(usage: lineage.JudgementUsage) -> str:
    """Return one sentence with the numbers of the datasets and releases."""
    if not usage.rows:
        return _("It is in no dataset, so no training has used it.")
    sentence = _(
        "It stays in datasets: %(datasets)s. Releases trained with it: %(releases)s. Later datasets leave it out."
    )
    return sentence % {
        "datasets": ", ".join(str(dataset.number) for dataset in usage.datasets),
        "releases": ", ".join(str(release.number) for release in usage.releases) or _("none"),
    }
