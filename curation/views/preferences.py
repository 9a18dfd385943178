"""Pages: how one person likes to work."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from curation.forms.preferences import PreferencesForm
from curation.models import Preferences


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    own = Preferences.objects.filter(user_id=request.user.pk).first() or Preferences(user_id=request.user.pk)
    form = PreferencesForm(request.POST or None, instance=own)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("preferences")
    status = 422 if request.method == "POST" else 200
    return render(request, "curation/preferences.html", {"form": form}, status=status)


@require_POST
@login_required
def default_keys(request: HttpRequest) -> HttpResponse:
    """Every key as it is for everybody."""
    Preferences.objects.filter(user_id=request.user.pk).update(keys={})
    messages.success(request, _("The keys are the default ones again."))
    return redirect("preferences")
