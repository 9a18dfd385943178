"""Pages: turns and runs, and when the loop turns by itself."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Membership, Project
from curation.permissions import require


@require(Membership.Role.ENGINEER)
def runs(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "tuning/runs.html", {"project": project})


@require(Membership.Role.ENGINEER)
def run(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "tuning/run.html", {"project": project})


@require(Membership.Role.ENGINEER)
def turn(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "tuning/turn.html", {"project": project})


@require(Membership.Role.ENGINEER)
def start(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "tuning/runs.html", {"project": project})


@require(Membership.Role.ENGINEER)
def cancel(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "tuning/runs.html", {"project": project})


@require(Membership.Role.MANAGER)
def policy(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "tuning/policy.html", {"project": project})
