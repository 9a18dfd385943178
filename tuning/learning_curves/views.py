"""Pages of the learning curves."""

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
from curation.core.permissions import role_required
from curation.models import Membership, Project
from tuning.learning_curves import learning_curve as curves
from tuning.learning_curves.forms import StartCurveForm
from tuning.models import LearningCurve

PER_PAGE = 20
MORE = 100


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Membership.Role.ENGINEER)
def learning_curves(request: MemberRequest, project: Project) -> HttpResponse:
    """The project's learning curves; a post starts one."""
    form = StartCurveForm(request.POST if request.method == "POST" else None, initial={"component": "retriever"})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            settings = {"budget_seconds": data["minutes"] * 60}
            started = curves.start(project, data["component"], seed=data["seed"], settings=settings)
        except curves.LearningCurveInProgress as error:
            form.add_error(None, str(error))
        else:
            enqueue("tuning.tasks.learn", started.pk, queue="compute")
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
@role_required(Membership.Role.ENGINEER)
def learning_curve(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    row = get_object_or_404(project.learning_curves.select_related("dataset"), pk=pk)
    template = (
        "tuning/learning_curves/learning_curve.html#curve"
        if request.htmx
        else "tuning/learning_curves/learning_curve.html"
    )
    return render(request, template, {"project": project, **_curve_context(row)})


@require_safe
@role_required(Membership.Role.ENGINEER)
def learning_curve_points(request: MemberRequest, project: Project, pk: int) -> JsonResponse:
    """The points and the fitted line, in the form of charts.js."""
    row = get_object_or_404(project.learning_curves, pk=pk)
    name = labels.metric_label(row.measure)
    lines: list[dict[str, Any]] = []
    if row.points:
        lines.append({"name": name, "kind": "dev", "points": [[p["queries"], p["value"]] for p in row.points]})
    extrapolation = curves.extrapolate(row, MORE)
    if extrapolation:
        trained = [point["queries"] for point in row.points if point["queries"]]
        sizes = [*trained, trained[-1] + MORE]
        lines.append({"name": _("fitted"), "kind": "dev", "points": [[n, extrapolation.value_at(n)] for n in sizes]})
    return JsonResponse({"curves": lines, "is_live": row.is_live})


@require_POST
@role_required(Membership.Role.ENGINEER)
def cancel_learning_curve(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    row = get_object_or_404(project.learning_curves, pk=pk)
    if row.cancel(message("cancelled_by", person=request.user.get_username())):
        messages.success(request, _("The learning curve is being stopped; its points stay."))
    else:
        messages.warning(request, _("The learning curve had already ended."))
    return redirect("tuning:learning_curve", project.slug, pk)


def _curve_context(row: LearningCurve) -> dict[str, Any]:
    last = row.points[-1] if row.points else None
    gains = [None, *curves.gains_per_hundred(row)] if len(row.points) > 1 else [None] * len(row.points)
    return {
        "curve": row,
        "is_live": row.is_live,
        "points": list(zip(row.points, gains, strict=True)),
        "extrapolation": curves.extrapolate(row, MORE),
        "grades_per_query": last["grades"] / last["queries"] if last and last["queries"] else None,
    }
