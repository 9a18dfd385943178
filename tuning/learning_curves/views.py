"""Pages: how good the pair gets with how many judgements."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from common.jobs import enqueue
from common.messages import message
from curation.core import labels
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Membership, Project
from tuning import tasks
from tuning.learning_curves import learning_curve as acts
from tuning.learning_curves.forms import LearnForm
from tuning.models import LearningCurve

PER_PAGE = 20
MORE = 100


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.ENGINEER)
def learning(request: MemberRequest, project: Project) -> HttpResponse:
    """The curves so far; a post starts one."""
    form = LearnForm(request.POST if request.method == "POST" else None, initial={"component": "retriever"})
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data
        try:
            settings = {"budget_seconds": wanted["minutes"] * 60}
            started = acts.start(project, wanted["component"], seed=wanted["seed"], settings=settings)
        except acts.AlreadyLearning as error:
            form.add_error(None, str(error))
        else:
            enqueue(tasks.learn, started.pk, queue="compute")
            return redirect("tuning:learning_curve", project.slug, started.pk)
    page = Paginator(project.learning_curves.all(), PER_PAGE).get_page(request.GET.get("page"))
    status = 422 if request.method == "POST" else 200
    return render(
        request,
        "tuning/learning_curves/learning_curves.html",
        {"project": project, "page": page, "form": form},
        status=status,
    )


@require_safe
@vary_on_headers("HX-Request")
@require(Membership.Role.ENGINEER)
def curve(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = get_object_or_404(project.learning_curves.select_related("dataset"), pk=pk)
    template = (
        "tuning/learning_curves/learning_curve.html#curve"
        if request.htmx
        else "tuning/learning_curves/learning_curve.html"
    )
    return render(request, template, {"project": project, **_told(found)})


@require_safe
@require(Membership.Role.ENGINEER)
def curve_points(request: MemberRequest, project: Project, pk: int) -> JsonResponse:
    """The points and the fitted line, as charts.js draws them."""
    found = get_object_or_404(project.learning_curves, pk=pk)
    name = labels.of_measure(found.measure)
    lines: list[dict[str, Any]] = []
    if found.points:
        lines.append({"name": name, "kind": "dev", "points": [[p["queries"], p["value"]] for p in found.points]})
    outlook = acts.outlook(found, MORE)
    if outlook:
        trained = [point["queries"] for point in found.points if point["queries"]]
        at = [*trained, trained[-1] + MORE]
        lines.append({"name": _("fitted"), "kind": "dev", "points": [[n, outlook.at(n)] for n in at]})
    return JsonResponse({"curves": lines, "is_live": found.is_live})


@require_POST
@require(Membership.Role.ENGINEER)
def cancel_curve(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = get_object_or_404(project.learning_curves, pk=pk)
    if found.cancel(message("cancelled_by", person=request.user.get_username())):
        messages.success(request, _("The learning curve is being stopped; its points stay."))
    else:
        messages.warning(request, _("The learning curve had already ended."))
    return redirect("tuning:learning_curve", project.slug, pk)


def _told(found: LearningCurve) -> dict[str, Any]:
    last = found.points[-1] if found.points else None
    gains = [None, *acts.gains(found)] if len(found.points) > 1 else [None] * len(found.points)
    return {
        "curve": found,
        "is_live": found.is_live,
        "points": list(zip(found.points, gains, strict=True)),
        "outlook": acts.outlook(found, MORE),
        "grades_a_query": last["grades"] / last["queries"] if last and last["queries"] else None,
    }
