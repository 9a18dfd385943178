"""The weights of a run, to take away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from common import tar_stream
from common.jobs import enqueue
from common.messages import message_from_json
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Membership, Project
from tuning import labels, tasks
from tuning.models import Run
from tuning.training import merged_weights, run_record, training_curves

KINDS: dict[str, Callable[[Run], Path | None]] = {"trained": merged_weights.trained, "merged": merged_weights.merged}


@require_safe
@require(Membership.Role.ENGINEER)
def weights(request: MemberRequest, project: Project, pk: int, kind: str) -> HttpResponseBase:
    """A tar of what was trained, or of the merged model."""
    run = _found(project, pk)
    if kind not in KINDS:
        raise Http404
    try:
        folder = KINDS[kind](run)
    except merged_weights.NoWeights as error:
        raise Http404(str(error)) from error
    if folder is None:
        raise Http404(_("They have not been merged yet."))
    name = f"{project.slug}-run-{pk}-{kind}"
    body = iter(()) if request.method == "HEAD" else tar_stream.stream(folder, name)
    answer = StreamingHttpResponse(body, content_type="application/x-tar")
    answer["Content-Disposition"] = f'attachment; filename="{name}.tar"'
    return answer


@require_POST
@require(Membership.Role.ENGINEER)
def merge(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    run = _found(project, pk)
    try:
        merged_weights.ask(run)
    except merged_weights.NoWeights as error:
        messages.warning(request, str(error))
    else:
        enqueue(tasks.merge, run.pk, queue="compute")
        messages.success(request, _("They are being merged. This page shows the link when they are ready."))
    return redirect("tuning:run", project.slug, pk)


def _found(project: Project, pk: int) -> Run:
    rows = Run.objects.select_related("generator", "encoder", "reranker").filter(cycle__project=project)
    return get_object_or_404(rows, pk=pk)


@require_safe
@vary_on_headers("HX-Request")
@require(Membership.Role.ENGINEER)
def run(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = get_object_or_404(_run_rows(project), pk=pk)
    template = "tuning/training/run.html#run" if request.htmx else "tuning/training/run.html"
    context = {"project": project, "run": found, "is_live": found.is_live}
    if not request.htmx:
        context |= {"curves": training_curves.read(found), "recorded": run_record.groups(found)}
        context["choice"] = labels.chosen(found.record.get("choice", ""))
        context["evaluation"] = getattr(found.cycle, "evaluation", None)
        context["merged"] = {name: message_from_json(value) for name, value in found.record.get("merged", {}).items()}
    return render(request, template, context)


@require_safe
@require(Membership.Role.ENGINEER)
def run_curves(request: MemberRequest, project: Project, pk: int) -> JsonResponse:
    found = get_object_or_404(_run_rows(project), pk=pk)
    return JsonResponse({"curves": training_curves.read(found), "is_live": found.is_live})


def _run_rows(project: Project) -> Any:
    parts = Run.objects.filter(cycle__project=project)
    return parts.select_related(
        *("cycle__evaluation", "dataset", "encoder", "generator", "reranker", "parent_encoder", "parent_generator")
    )
