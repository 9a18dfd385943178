"""Pages: what serves, what served, and what could."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from curation.models import Membership, Project
from curation.permissions import require


@require(Membership.Role.ENGINEER)
def releases(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/releases.html", {"project": project})


@require(Membership.Role.ENGINEER)
def release(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    return render(request, "curation/release.html", {"project": project})


@require_POST
@require(Membership.Role.MANAGER)
def promote(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    return render(request, "curation/release.html", {"project": project})


@require_POST
@require(Membership.Role.MANAGER)
def roll_back(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/release.html", {"project": project})
