"""Pages: what serves, what served, and what could."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from curation.annotation import regressions
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Membership, Project, Release
from curation.releases import evaluation_report, lifecycle
from curation.releases.forms import RequeueForm

MOST_LISTED = 100
MOST_CHANGED = 25


@require_safe
@require(Membership.Role.ENGINEER)
def releases(request: MemberRequest, project: Project) -> HttpResponse:
    rows = list(_whole(project)[:MOST_LISTED])
    context = {
        "project": project,
        "serving": next((row for row in rows if row.state == Release.State.SERVING), None),
        "rows": [(row, evaluation_report.headline(row)) for row in rows],
    }
    return render(request, "curation/releases/releases.html", context)


@require_safe
@require(Membership.Role.ENGINEER)
def release(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    return render(request, "curation/releases/release.html", _one(project, number))


@require_POST
@require(Membership.Role.ENGINEER)
def requeue_regressions(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """Queries that got worse, or the one that is named, as work for people."""
    found = get_object_or_404(_whole(project), number=number)
    form = RequeueForm(request.POST)
    worse = evaluation_report.worse_queries(evaluation_report.last_evaluation(found)) if form.is_valid() else []
    queries = project.queries.filter(pk__in=worse).order_by("pk")
    if one := form.cleaned_data.get("query"):
        queries = queries.filter(pk=one)
    done = regressions.requeue(found, queries, request.user)
    words = _("To review: %(reopened)d. Moved up in the queue: %(preferred)d. Left as they are: %(left)d.")
    messages.success(request, words % asdict(done))
    return redirect("curation:release", project.slug, number)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def promote(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    context = _one(project, number)
    if request.method == "POST":
        try:
            lifecycle.switch(context["release"], actor=request.user)
        except lifecycle.NotServable as error:
            return render(request, "curation/releases/promote.html", context | {"problem": str(error)}, status=422)
        messages.success(request, _("Release %(number)d serves from now on.") % {"number": number})
        return redirect("curation:release", project.slug, number)
    return render(request, "curation/releases/promote.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def roll_back(request: MemberRequest, project: Project) -> HttpResponse:
    now = project.releases.serving().select_related("previous").first()
    context = {"project": project, "now": now, "before": now.previous if now else None}
    if request.method == "POST":
        try:
            before = lifecycle.roll_back(project, actor=request.user)
        except (lifecycle.NothingServes, lifecycle.NothingBefore, lifecycle.NotServable) as error:
            return render(request, "curation/releases/roll_back.html", context | {"problem": str(error)}, status=422)
        messages.success(request, _("Release %(number)d serves again.") % {"number": before.number})
        return redirect("curation:release", project.slug, before.number)
    return render(request, "curation/releases/roll_back.html", context)


def _whole(project: Project) -> Any:
    parts = project.releases.select_related("build__encoder", "generator", "reranker", "previous").order_by("-number")
    return parts.prefetch_related("evaluations__decision", "evaluations__champion", "cycles")


def _one(project: Project, number: int) -> dict[str, Any]:
    """One release, with what its last evaluation said."""
    found = get_object_or_404(_whole(project), number=number)
    evaluation = evaluation_report.last_evaluation(found)
    return {
        "project": project,
        "release": found,
        "serving": project.releases.serving().first(),
        "evaluation": evaluation,
        "decision": getattr(evaluation, "decision", None),
        "measures": evaluation_report.measures(evaluation),
        "memory": evaluation_report.memory(evaluation),
        "votes": evaluation_report.votes(evaluation),
        "span": evaluation_report.span(evaluation),
        "worse": evaluation_report.worse_queries(evaluation),
        "changed": evaluation_report.changed_queries(evaluation, MOST_CHANGED),
    }
