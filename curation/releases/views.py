"""Pages of releases: list, one release with its evaluation, promote, roll back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from curation.core.http import MemberRequest
from curation.core.permissions import role_required
from curation.models import Membership, Project, Release
from curation.releases import evaluation_report, lifecycle

MAX_RELEASES = 100
MAX_CHANGED_QUERIES = 25


@require_safe
@role_required(Membership.Role.ENGINEER)
def releases(request: MemberRequest, project: Project) -> HttpResponse:
    rows = list(_releases_of(project)[:MAX_RELEASES])
    context = {
        "project": project,
        "live_release": next((row for row in rows if row.state == Release.State.LIVE), None),
        "rows": [(row, evaluation_report.headline_metric(row)) for row in rows],
    }
    return render(request, "curation/releases/releases.html", context)


@require_safe
@role_required(Membership.Role.ENGINEER)
def release(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    return render(request, "curation/releases/release.html", _release_context(project, number))


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Membership.Role.MANAGER)
def promote(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    context = _release_context(project, number)
    if request.method == "POST":
        try:
            lifecycle.promote(context["release"], actor=request.user)
        except lifecycle.CannotGoLive as error:
            return render(request, "curation/releases/promote.html", context | {"problem": str(error)}, status=422)
        messages.success(request, _("Release %(number)d is live now.") % {"number": number})
        return redirect("curation:release", project.slug, number)
    return render(request, "curation/releases/promote.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Membership.Role.MANAGER)
def roll_back(request: MemberRequest, project: Project) -> HttpResponse:
    live = project.releases.live().select_related("previous").first()
    context = {"project": project, "live_release": live, "previous": live.previous if live else None}
    if request.method == "POST":
        try:
            previous = lifecycle.roll_back(project, actor=request.user)
        except (lifecycle.NoLiveRelease, lifecycle.NoPreviousRelease, lifecycle.CannotGoLive) as error:
            return render(request, "curation/releases/roll_back.html", context | {"problem": str(error)}, status=422)
        messages.success(request, _("Release %(number)d is live again.") % {"number": previous.number})
        return redirect("curation:release", project.slug, previous.number)
    return render(request, "curation/releases/roll_back.html", context)


def _releases_of(project: Project) -> QuerySet[Release]:
    """Return the project's releases with their components and evaluations, newest first."""
    releases = project.releases.select_related("build__encoder", "generator", "reranker", "previous")
    return releases.prefetch_related("evaluations__decision", "evaluations__champion", "cycles").order_by("-number")


def _release_context(project: Project, number: int) -> dict[str, Any]:
    """Return the context of one release with its latest evaluation."""
    release = get_object_or_404(_releases_of(project), number=number)
    evaluation = evaluation_report.latest_evaluation(release)
    return {
        "project": project,
        "release": release,
        "live_release": project.releases.live().first(),
        "evaluation": evaluation,
        "decision": getattr(evaluation, "decision", None),
        "measures": evaluation_report.group_metrics(evaluation),
        "seen_unseen_gain": evaluation_report.seen_unseen_gain(evaluation),
        "votes": evaluation_report.count_votes(evaluation),
        "span": evaluation_report.axis_span(evaluation),
        "worse": evaluation_report.worse_queries(evaluation),
        "changed": evaluation_report.changed_queries(evaluation, MAX_CHANGED_QUERIES),
    }
