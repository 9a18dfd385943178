"""Pages: ask, and what was asked."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Project
from curation.permissions import Role, require


@require(Role.ANNOTATOR)
def ask(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/ask.html", {"project": project})


@require(Role.ANNOTATOR)
def queries(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/queries.html", {"project": project})


@require(Role.ANNOTATOR)
def query(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "curation/query.html", {"project": project})
