"""Pages: how one person likes to work."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    return render(request, "curation/preferences.html")
