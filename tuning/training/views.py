"""The weights of a run, to take away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from common import tar_stream
from common.jobs import enqueue
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Membership, Project
from tuning import tasks
from tuning.models import Run
from tuning.training import merged_weights

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
    rows = Run.objects.select_related("generator", "encoder", "reranker").filter(turn__project=project)
    return get_object_or_404(rows, pk=pk)
