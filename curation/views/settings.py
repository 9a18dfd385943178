"""Pages: how a project works."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Membership, Project
from curation.permissions import require


@require(Membership.Role.MANAGER)
def settings(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/settings.html", {"project": project})
