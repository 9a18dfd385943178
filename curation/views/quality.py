"""Pages: quality."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Project
from curation.permissions import Role, require


@require(Role.MANAGER)
def quality(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/quality.html", {"project": project})
