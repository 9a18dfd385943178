"""Pages: reviewing."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from curation.models import Membership, Project
from curation.permissions import require


@require(Membership.Role.REVIEWER)
def reviews(request: HttpRequest, project: Project) -> HttpResponse:
    return render(request, "curation/reviews.html", {"project": project})


@require(Membership.Role.REVIEWER)
def review(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    return render(request, "curation/review.html", {"project": project})
