"""Pages: judging."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Membership, Project
from curation.permissions import require


@require(Membership.Role.ANNOTATOR)
def judge(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/judge.html", {"project": project})


@require(Membership.Role.ANNOTATOR)
def assignment(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "curation/assignment.html", {"project": project})
