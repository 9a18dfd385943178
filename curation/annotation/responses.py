"""How an act answers a browser: JSON to the page's own scripts, a page or a way back to a plain form."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from config.compiled import Compiled
from curation.annotation.assignments import NotYours, named
from curation.annotation.judge_page import page_of, work_of
from curation.core.errors import CurationError
from curation.core.permissions import require
from curation.models import Assignment, Membership, Project

_own = Compiled(
    lambda pk, project, curator: Assignment.objects.select_related("query", "guidelines").filter(
        pk=pk, project_id=project, curator_id=curator
    )
)
Act = Callable[[HttpRequest, Assignment, dict[str, Any]], "dict[str, Any] | HttpResponse"]


def is_json(request: HttpRequest) -> bool:
    return request.content_type == "application/json"


def sent(request: HttpRequest) -> dict[str, Any] | None:
    """The fields that came, from a form or a JSON object; None when they cannot be read."""
    if not is_json(request):
        return request.POST.dict()
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    return {name: value for name, value in found.items() if value is not None}


def key_of(request: HttpRequest) -> str:
    """The idempotency key of a key press; a plain form has none."""
    return request.headers.get("Idempotency-Key", "")[:80]


def own_assignment(request: HttpRequest, project: Project, pk: int) -> Assignment:
    """The person's own assignment with its query and its guidelines; somebody else's is not there."""
    found = _own.first(pk, project.pk, request.user.pk)
    if found is None:
        raise Http404(_("This is not yours to judge."))
    found.project = project  # known already: not asked for again
    return found


def acting(form_class: type[forms.Form]) -> Callable[[Act], Callable[..., HttpResponse]]:
    """A POST on one's own assignment: form → one act → JSON, or back to the page.

    The act's own errors become 409, a bad form 422, each with one sentence.
    """

    def decorate(act: Act) -> Callable[..., HttpResponse]:
        @require_POST
        @require(Membership.Role.ANNOTATOR)
        @wraps(act)
        def view(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
            if request.headers.get("X-Owner", str(request.user.pk)) != str(request.user.pk):
                return JsonResponse({"error": _("Somebody else has signed in.")}, status=401)
            mine = named(project, request.user, pk)  # the act reads the row, locked
            fields = sent(request)
            form = form_class(fields or {})
            if fields is None or not form.is_valid():
                return refuse(request, mine, _first_error(form), 422)
            try:
                result = act(request, mine, form.cleaned_data)
            except NotYours as error:
                raise Http404(str(error)) from error
            except CurationError as error:
                return refuse(request, mine, str(error), 409)
            if isinstance(result, HttpResponse):
                return result
            return JsonResponse(result) if is_json(request) else back_to(mine, form.cleaned_data.get("passage"))

        return view

    return decorate


def back_to(assignment: Assignment, passage_id: int | None = None) -> HttpResponse:
    """To the page of the assignment, at the passage."""
    address = redirect("curation:assignment", assignment.project.slug, assignment.pk)
    if passage_id:
        address["Location"] += f"#passage-{passage_id}"
    return address


def refuse(request: HttpRequest, assignment: Assignment, message: str, status: int) -> HttpResponse:
    """The same refusal for a script and for a plain form, whose page keeps the text that was sent."""
    assignment = own_assignment(request, assignment.project, assignment.pk)
    if is_json(request):
        return JsonResponse({"error": message}, status=status)
    messages.error(request, message)
    work = work_of(assignment, text=request.POST.get("text"))
    context = page_of(request, assignment.project, work)
    return render(request, "curation/annotation/assignment.html", context, status=status)


def _first_error(form: forms.Form) -> str:
    for name, errors in form.errors.items():
        return f"{name}: {errors[0]}" if name != "__all__" else str(errors[0])
    return _("What was sent cannot be read.")
