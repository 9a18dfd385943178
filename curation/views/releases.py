"""Pages: what serves, what served, and what could."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from curation import comparing, serving
from curation.models import Membership, Project, Release
from curation.permissions import require
from curation.views._request import MemberRequest

MOST_LISTED = 100
MOST_CHANGED = 25


@require_safe
@require(Membership.Role.ENGINEER)
def releases(request: MemberRequest, project: Project) -> HttpResponse:
    rows = list(_whole(project)[:MOST_LISTED])
    context = {
        "project": project,
        "serving": next((row for row in rows if row.state == Release.State.SERVING), None),
        "rows": [(row, comparing.headline(row)) for row in rows],
    }
    return render(request, "curation/releases.html", context)


@require_safe
@require(Membership.Role.ENGINEER)
def release(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    return render(request, "curation/release.html", _one(project, number))


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def promote(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    context = _one(project, number)
    if request.method == "POST":
        try:
            serving.switch(context["release"], actor=request.user)
        except serving.NotServable as error:
            return render(request, "curation/promote.html", context | {"problem": str(error)}, status=422)
        messages.success(request, _("Release %(number)d serves from now on.") % {"number": number})
        return redirect("curation:release", project.slug, number)
    return render(request, "curation/promote.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def roll_back(request: MemberRequest, project: Project) -> HttpResponse:
    now = project.releases.serving().select_related("previous").first()
    context = {"project": project, "now": now, "before": now.previous if now else None}
    if request.method == "POST":
        try:
            before = serving.roll_back(project, actor=request.user)
        except (serving.NothingServes, serving.NothingBefore, serving.NotServable) as error:
            return render(request, "curation/roll_back.html", context | {"problem": str(error)}, status=422)
        messages.success(request, _("Release %(number)d serves again.") % {"number": before.number})
        return redirect("curation:release", project.slug, before.number)
    return render(request, "curation/roll_back.html", context)


def _whole(project: Project) -> Any:
    parts = project.releases.select_related("build__encoder", "generator", "previous").order_by("-number")
    return parts.prefetch_related("evaluations__decision", "evaluations__champion", "turns")


def _one(project: Project, number: int) -> dict[str, Any]:
    """One release, with what its last evaluation said."""
    found = get_object_or_404(_whole(project), number=number)
    evaluation = comparing.last_evaluation(found)
    return {
        "project": project,
        "release": found,
        "serving": project.releases.serving().first(),
        "evaluation": evaluation,
        "decision": getattr(evaluation, "decision", None),
        "measures": comparing.measures(evaluation),
        "span": comparing.span(evaluation),
        "changed": comparing.changed_queries(evaluation, MOST_CHANGED),
    }
