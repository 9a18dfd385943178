"""Pages: ask, and what was asked."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Membership, Project
from curation.permissions import require


@require(Membership.Role.ANNOTATOR)
def ask(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/ask.html", {"project": project})


@require(Membership.Role.ANNOTATOR)
def queries(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/queries.html", {"project": project})


@require(Membership.Role.ANNOTATOR)
def query(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "curation/query.html", {"project": project})
