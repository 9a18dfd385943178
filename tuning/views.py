"""Pages: turns and runs, and when the loop turns by itself."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Project
from curation.permissions import Role, require


@require(Role.ENGINEER)
def runs(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "tuning/runs.html", {"project": project})


@require(Role.ENGINEER)
def run(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "tuning/run.html", {"project": project})


@require(Role.ENGINEER)
def turn(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "tuning/turn.html", {"project": project})


@require(Role.ENGINEER)
def start(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "tuning/runs.html", {"project": project})


@require(Role.ENGINEER)
def cancel(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "tuning/runs.html", {"project": project})


@require(Role.MANAGER)
def policy(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "tuning/policy.html", {"project": project})
