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
from curation.annotation import judgements
from curation.annotation.assignments import NotYours
from curation.core.errors import CurationError
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Judgement, Membership, Project, Query
from tuning.cycles import policies
from tuning.datasets import dataset_card as cards
from tuning.datasets import diff, lineage
from tuning.datasets.forms import LicenceForm
from tuning.models import Dataset, Split

PER_PAGE = 30
MOST_LISTED = 200


@require_safe
@require(Membership.Role.ENGINEER)
def datasets(request: MemberRequest, project: Project) -> HttpResponse:
    page = Paginator(project.datasets.all(), PER_PAGE).get_page(request.GET.get("page"))
    rows = [(row, _splits(row)) for row in page]
    form = LicenceForm(instance=project.corpus)
    return render(
        request, "tuning/datasets/datasets.html", {"project": project, "page": page, "rows": rows, "form": form}
    )


@require_POST
@require(Membership.Role.MANAGER)
def licence(request: MemberRequest, project: Project) -> HttpResponse:
    """What the texts of the corpus may be used for, as the cards will say."""
    form = LicenceForm(request.POST, instance=project.corpus)
    if form.is_valid():
        policies.change_licence(project.corpus, form.cleaned_data["licence"], actor=request.user)
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
        "people": cards.people(found),
        "runs": cards.runs(found),
        "before": project.datasets.filter(number__lt=number).first(),
        "others": project.datasets.exclude(number=number)[:MOST_LISTED],
    }
    return render(request, "tuning/datasets/dataset.html", context)


@require_safe
@require(Membership.Role.ENGINEER)
def dataset_card(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """The card as a Markdown file."""
    found = get_object_or_404(project.datasets.select_related("project__corpus"), number=number)
    answer = HttpResponse(cards.card(found), content_type="text/markdown; charset=utf-8")
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
        found = diff.differ(old, new) if old else None
    except Damaged as error:
        return render(request, "tuning/datasets/dataset_changes.html", context | {"problem": str(error)}, status=422)
    if found is not None:
        context |= {"difference": found, "groups": _groups(found), "most": MOST_LISTED}
    return render(request, "tuning/datasets/dataset_changes.html", context)


def _splits(found: Dataset) -> list[tuple[str, dict[str, int]]]:
    return [(str(Split(name).label), found.counts[name]) for name in Split.values if name in found.counts]


def _groups(found: diff.Difference) -> list[dict[str, Any]]:
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


JUDGEMENTS_PER_PAGE = 50


@require_safe
@require(Membership.Role.ANNOTATOR)
def judgement(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """One judgement with its history and what it shaped: one's own, or anybody's for a reviewer."""
    found = _found(request, pk)
    events = project.events.filter(query=found.query_id, passage=found.passage_id, actor=found.curator_id)
    context = {
        "project": project,
        "judgement": found,
        "shaped": lineage.shaped(found),
        "history": events.select_related("actor").order_by("pk"),
        "is_mine": found.curator_id == request.user.pk,
    }
    return render(request, "tuning/datasets/judgement.html", context)


@require_POST
@require(Membership.Role.ANNOTATOR)
def withdraw_judgement(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Take one's grade back for good; the answer names the datasets and releases it has gone into."""
    found = _found(request, pk)
    try:
        if found.curator_id != request.user.pk:
            raise NotYours(_("Only the person who gave a grade can take it back."))
        judgements.withdraw(found)
    except CurationError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _("Withdrawn.") + " " + _affected(lineage.shaped(found)))
    return redirect("tuning:judgement", project.slug, pk)


@require_safe
@require(Membership.Role.ENGINEER)
def release_judgements(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """The judgements behind a release, newest first."""
    release = get_object_or_404(project.releases.select_related("build"), number=number)
    rows = lineage.behind(release).select_related("query", "passage", "curator")
    page = Paginator(rows, JUDGEMENTS_PER_PAGE).get_page(request.GET.get("page"))
    runs = lineage.runs_of(release).select_related("dataset")
    context = {"project": project, "release": release, "page": page, "runs": runs}
    return render(request, "tuning/datasets/release_judgements.html", context)


def _found(request: MemberRequest, pk: int) -> Judgement:
    rows = lineage.readable_by(request.membership)
    return get_object_or_404(rows.select_related("query", "passage", "curator", "assignment"), pk=pk)


def _affected(shaped: lineage.Shaped) -> str:
    """The datasets and releases by number, in one sentence."""
    if not shaped.rows:
        return _("It is in no dataset, so nothing has learned from it.")
    told = _(
        "It stays in datasets: %(datasets)s. Releases that learned from it: %(releases)s. Later ones do without it."
    )
    return told % {
        "datasets": ", ".join(str(dataset.number) for dataset in shaped.datasets),
        "releases": ", ".join(str(release.number) for release in shaped.releases) or _("none"),
    }
