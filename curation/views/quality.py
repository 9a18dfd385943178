"""Pages: quality."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Membership, Project
from curation.permissions import require


@require(Membership.Role.MANAGER)
def quality(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/quality.html", {"project": project})
