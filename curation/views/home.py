"""Pages: what waits for me, and one project at a glance."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Membership, Project
from curation.permissions import require


@login_required
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "curation/home.html")


@require(Membership.Role.ANNOTATOR)
def project(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/project.html", {"project": project})
