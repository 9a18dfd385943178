"""Pages of training runs, and the download of their weights."""

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
from curation.core.permissions import role_required
from curation.models import Membership, Project
from tuning import labels
from tuning.models import Run
from tuning.training import merged_weights, run_record, training_curves

KINDS: dict[str, Callable[[Run], Path | None]] = {
    "trained": merged_weights.trained_folder,
    "merged": merged_weights.merged_folder,
}


@require_safe
@role_required(Membership.Role.ENGINEER)
def weights(request: MemberRequest, project: Project, pk: int, kind: str) -> HttpResponseBase:
    """Download the trained weights, or the merged weights, as a tar file."""
    run = _run_with_weights(project, pk)
    if kind not in KINDS:
        raise Http404
    try:
        folder = KINDS[kind](run)
    except merged_weights.NoWeights as error:
        raise Http404(str(error)) from error
    if folder is None:
        raise Http404(_("The weights have not been merged yet."))
    name = f"{project.slug}-run-{pk}-{kind}"
    body = iter(()) if request.method == "HEAD" else tar_stream.stream(folder, name)
    response = StreamingHttpResponse(body, content_type="application/x-tar")
    response["Content-Disposition"] = f'attachment; filename="{name}.tar"'
    return response


@require_POST
@role_required(Membership.Role.ENGINEER)
def merge(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    run = _run_with_weights(project, pk)
    try:
        merged_weights.request_merge(run)
    except merged_weights.NoWeights as error:
        messages.warning(request, str(error))
    else:
        enqueue("tuning.tasks.merge", run.pk, queue="compute")
        messages.success(request, _("The weights are being merged. This page shows the link when they are ready."))
    return redirect("tuning:run", project.slug, pk)


def _run_with_weights(project: Project, pk: int) -> Run:
    rows = Run.objects.select_related("generator", "encoder", "reranker").filter(cycle__project=project)
    run: Run = get_object_or_404(rows, pk=pk)
    return run


@require_safe
@vary_on_headers("HX-Request")
@role_required(Membership.Role.ENGINEER)
def run(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    row = get_object_or_404(_run_rows(project), pk=pk)
    template = "tuning/training/run.html#run" if request.htmx else "tuning/training/run.html"
    context = {"project": project, "run": row, "is_live": row.is_live}
    if not request.htmx:
        context |= {"curves": training_curves.read_curves(row), "recorded": run_record.record_groups(row)}
        context["choice"] = labels.choice_label(row.record.get("choice", ""))
        context["evaluation"] = getattr(row.cycle, "evaluation", None)
        context["merged"] = {name: message_from_json(value) for name, value in row.record.get("merged", {}).items()}
    return render(request, template, context)


@require_safe
@role_required(Membership.Role.ENGINEER)
def run_curves(request: MemberRequest, project: Project, pk: int) -> JsonResponse:
    row = get_object_or_404(_run_rows(project), pk=pk)
    return JsonResponse({"curves": training_curves.read_curves(row), "is_live": row.is_live})


def _run_rows(project: Project) -> Any:
    runs = Run.objects.filter(cycle__project=project)
    return runs.select_related(
        *("cycle__evaluation", "dataset", "encoder", "generator", "reranker", "parent_encoder", "parent_generator")
    )
