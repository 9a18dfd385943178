"""Pages: how a project works."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from common.jobs import enqueue
from curation import arranging, tasks
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.forms.settings import GradesForm, GuidelinesForm, ProjectForm
from curation.models import Membership, Project


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def settings(request: MemberRequest, project: Project) -> HttpResponse:
    latest = project.guidelines.first()
    initial = {"text": latest.text if latest else ""}
    form = ProjectForm(_sent(request, "project"), instance=Project.objects.get(pk=project.pk))
    grades_form = GradesForm(_sent(request, "grades"), project=project, prefix="r")
    guidelines_form = GuidelinesForm(_sent(request, "guidelines"), initial=initial, prefix="g")
    if form.is_valid():
        arranging.change(project, form.cleaned_data, actor=request.user)
        enqueue(tasks.follow_overlap, project.pk)
        messages.success(request, _("Saved."))
        return redirect("curation:settings", project.slug)
    if grades_form.is_valid() and not grades_form.is_locked:
        arranging.change(project, {"grades": grades_form.grades()}, actor=request.user)
        messages.success(request, _("Saved."))
        return redirect("curation:settings", project.slug)
    if guidelines_form.is_valid():
        saved = arranging.write_guidelines(project, guidelines_form.cleaned_data["text"], actor=request.user)
        words = _("Version %(version)d of the guidelines holds from now on.")
        messages.success(request, words % {"version": saved.version})
        return redirect("curation:settings", project.slug)
    context = {
        "project": project,
        "form": form,
        "grades_form": grades_form,
        "guidelines_form": guidelines_form,
        "guidelines": latest,
        "members": project.memberships.select_related("user").order_by("user__username"),
    }
    return render(request, "curation/settings.html", context, status=422 if request.method == "POST" else 200)


def _sent(request: MemberRequest, part: str) -> QueryDict | None:
    """What was posted, when it was posted by this part of the page: its button carries the part's name."""
    return request.POST if request.method == "POST" and part in request.POST else None
