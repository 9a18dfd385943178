"""Pages: what a judgement shaped, and which judgements are behind a release."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from curation.annotation import judgements
from curation.annotation.assignments import NotYours
from curation.core.errors import CurationError
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Judgement, Membership, Project
from tuning import lineage

PER_PAGE = 50


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
    return render(request, "tuning/judgement.html", context)


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
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    runs = lineage.runs_of(release).select_related("dataset")
    context = {"project": project, "release": release, "page": page, "runs": runs}
    return render(request, "tuning/release_judgements.html", context)


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
