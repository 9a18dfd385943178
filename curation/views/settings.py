"""Pages: how a project works."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from curation.forms.settings import GuidelinesForm, ProjectForm
from curation.models import Membership, Project
from curation.permissions import require


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def settings(request: HttpRequest, project: Project) -> HttpResponse:
    is_guidelines = "guidelines" in request.POST
    latest = project.guidelines.first()
    initial = {"text": latest.text if latest else ""}
    guidelines_form = GuidelinesForm(request.POST if is_guidelines else None, initial=initial, prefix="g")
    posted = request.POST if request.method == "POST" and not is_guidelines else None
    form = ProjectForm(posted, instance=Project.objects.get(pk=project.pk))
    if is_guidelines and guidelines_form.is_valid():
        saved = guidelines_form.save(project)
        words = _("Version %(version)d of the guidelines holds from now on.")
        messages.success(request, words % {"version": saved.version})
        return redirect("curation:settings", project.slug)
    if form.is_bound and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("curation:settings", project.slug)
    context = {
        "project": project,
        "form": form,
        "guidelines_form": guidelines_form,
        "guidelines": latest,
        "members": project.memberships.select_related("user").order_by("user__username"),
    }
    return render(request, "curation/settings.html", context, status=422 if request.method == "POST" else 200)
