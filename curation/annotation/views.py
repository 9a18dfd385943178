"""Page of the annotation room beside the judge page: regressions of a release become work."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from curation.annotation import regressions
from curation.annotation.forms import RequeueForm
from curation.core.http import MemberRequest
from curation.core.permissions import role_required
from curation.models import Membership, Project
from curation.releases import evaluation_report


@require_POST
@role_required(Membership.Role.ENGINEER)
def requeue_regressions(request: MemberRequest, project: Project, number: int) -> HttpResponse:
    """Send the queries that got worse with the release back to people, or the one query that is named."""
    release = get_object_or_404(project.releases.prefetch_related("evaluations"), number=number)
    form = RequeueForm(request.POST)
    worse = evaluation_report.worse_queries(evaluation_report.latest_evaluation(release)) if form.is_valid() else []
    queries = project.queries.filter(pk__in=worse).order_by("pk")
    if query_id := form.cleaned_data.get("query"):
        queries = queries.filter(pk=query_id)
    requeued = regressions.requeue(release, queries, request.user)
    text = _("Sent to review: %(reopened)d. Moved up in the queue: %(prioritized)d. Unchanged: %(unchanged)d.")
    messages.success(request, text % asdict(requeued))
    return redirect("curation:release", project.slug, number)
