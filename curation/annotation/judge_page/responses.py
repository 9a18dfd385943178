"""Requests and responses of the judge page: JSON for its own scripts, pages and redirects for plain forms."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from curation.annotation.assignments import NotYourAssignment, reference
from curation.annotation.judge_page.page_context import build_work, page_context
from curation.core.errors import CurationError
from curation.core.http import MemberRequest
from curation.core.permissions import View, role_required
from curation.models import Assignment, Membership, Project

Fields = dict[str, Any]
Act = Callable[[MemberRequest, Assignment, Fields], "Fields | HttpResponse"]


def is_json(request: MemberRequest) -> bool:
    """Whether the page's own script sent the request."""
    return request.content_type == "application/json"


def read_fields(request: MemberRequest) -> Fields | None:
    """Return the fields of a form or of a JSON object; None for a body that is neither."""
    if not is_json(request):
        return request.POST.dict()
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    return {name: value for name, value in body.items() if value is not None}


def idempotency_key(request: MemberRequest) -> str:
    """Return the idempotency key of a key press; empty for a plain form."""
    return request.headers.get("Idempotency-Key", "")[:80]


def get_own_assignment(request: MemberRequest, project: Project, pk: int) -> Assignment:
    """Return the person's assignment with its query and guidelines. Raises Http404 for anybody else's."""
    rows = Assignment.objects.select_related("query", "guidelines")
    assignment = rows.filter(pk=pk, project=project, curator=request.user).first()
    if assignment is None:
        raise Http404(_("This assignment is not yours."))
    assignment.project = project  # saves a query
    return assignment


def assignment_act(form_class: type[forms.Form]) -> Callable[[Act], View]:
    """Make a view of an act on the person's own assignment: POST → form → act → JSON, or a redirect to the page.

    An error of the act becomes 409, an invalid form 422, each with one sentence.
    """

    def decorate(act: Act) -> View:
        @require_POST
        @role_required(Membership.Role.ANNOTATOR)
        @wraps(act)
        def view(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
            if request.headers.get("X-Owner", str(request.user.pk)) != str(request.user.pk):
                return JsonResponse({"error": _("Somebody else has signed in.")}, status=401)
            assignment = reference(project, request.user, pk)  # the act reads the row, locked
            fields = read_fields(request)
            form = form_class(fields or {})
            if fields is None or not form.is_valid():
                return render_error(request, assignment, _first_error(form), 422)
            try:
                result = act(request, assignment, form.cleaned_data)
            except NotYourAssignment as error:
                raise Http404(str(error)) from error
            except CurationError as error:
                return render_error(request, assignment, str(error), 409)
            if isinstance(result, HttpResponse):
                return result
            if is_json(request):
                return JsonResponse(result)
            return redirect_to_assignment(assignment, form.cleaned_data.get("passage"))

        return view

    return decorate


def redirect_to_assignment(assignment: Assignment, passage_id: int | None = None) -> HttpResponse:
    """Redirect to the page of the assignment, at the passage."""
    response = redirect("curation:assignment", assignment.project.slug, assignment.pk)
    if passage_id:
        response["Location"] += f"#passage-{passage_id}"
    return response


def render_error(request: MemberRequest, assignment: Assignment, message: str, status: int) -> HttpResponse:
    """Return the error as JSON for a script, or as the page with the text that was sent for a plain form."""
    assignment = get_own_assignment(request, assignment.project, assignment.pk)
    if is_json(request):
        return JsonResponse({"error": message}, status=status)
    messages.error(request, message)
    work = build_work(assignment, unsaved_text=request.POST.get("text"))
    context = page_context(request, assignment.project, work)
    return render(request, "curation/annotation/assignment.html", context, status=status)


def _first_error(form: forms.Form) -> str:
    for name, errors in form.errors.items():
        return f"{name}: {errors[0]}" if name != "__all__" else str(errors[0])
    return _("The request could not be read.")
