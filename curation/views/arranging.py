"""Pages: what a manager decides of one query, how many people judge it and whether it is a gold question."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from curation import arranging, reviewing
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.forms.arranging import OverlapForm
from curation.models import Membership, Project, Query


@require_POST
@require(Membership.Role.MANAGER)
def overlap(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = _query(project, pk)
    form = OverlapForm(request.POST)
    if form.is_valid():
        arranging.set_overlap(found, form.cleaned_data["overlap"], actor=request.user)
        messages.success(request, _("Saved."))
    else:
        messages.error(request, form.errors["overlap"][0])
    return redirect("curation:query", project.slug, pk)


@require_POST
@require(Membership.Role.MANAGER)
def gold(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Make it a gold question, or an ordinary one again."""
    found = _query(project, pk)
    try:
        if found.gold is None:
            reviewing.make_gold(found, request.user)
        else:
            reviewing.unmake_gold(found, request.user)
    except reviewing.NotSettled as error:
        messages.error(request, str(error))
    return redirect("curation:query", project.slug, pk)


def _query(project: Project, pk: int) -> Query:
    return get_object_or_404(project.queries.select_related("project"), pk=pk)
