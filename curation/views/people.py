"""Pages: who is of a project, in which role, and how much they may do."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from curation import staffing
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.forms.people import MemberForm, NewMemberForm
from curation.models import Assignment, Membership, Project

Role = Membership.Role


@require_http_methods(["GET", "HEAD", "POST"])
@require(Role.MANAGER)
def people(request: MemberRequest, project: Project) -> HttpResponse:
    form = NewMemberForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _page(request, project, form)
    sent = form.cleaned_data
    user = sent["username"]
    try:
        staffing.admit(project, user, sent["role"], daily_quota=sent["daily_quota"], actor=request.user)
    except staffing.AlreadyMember as error:
        form.add_error("username", str(error))
        return _page(request, project, form)
    messages.success(request, _("%(name)s is of this project from now on.") % {"name": user})
    return redirect("curation:people", project.slug)


@require_POST
@require(Role.MANAGER)
def member(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Another role, quota or pause."""
    found = _member(project, pk)
    form = MemberForm.of(found, request.POST)
    if not form.is_valid():
        return _page(request, project, NewMemberForm(), form)
    try:
        staffing.change(found, **form.cleaned_data, actor=request.user)
    except (staffing.LastManager, staffing.NotMember) as error:
        form.add_error("role", str(error))
        return _page(request, project, NewMemberForm(), form)
    messages.success(request, _("Saved."))
    return _back(request, project, found)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Role.MANAGER)
def remove_member(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = _member(project, pk)
    context = {"project": project, "member": found}
    if request.method != "POST":
        return render(request, "curation/remove_member.html", context)
    try:
        staffing.dismiss(found, actor=request.user)
    except (staffing.LastManager, staffing.NotMember) as error:
        return render(request, "curation/remove_member.html", context | {"problem": str(error)}, status=422)
    messages.success(request, _("%(name)s is not of this project any more.") % {"name": found.user})
    return _back(request, project, found)


def _member(project: Project, pk: int) -> Membership:
    return get_object_or_404(project.memberships.select_related("user"), pk=pk)


def _back(request: MemberRequest, project: Project, changed: Membership) -> HttpResponse:
    """To the page of the people, unless it was oneself and one may not see it any more."""
    mine = project.memberships.filter(user=request.user).first()
    stays = request.user.is_superuser or (mine is not None and mine.role == Role.MANAGER)
    if stays:
        return redirect("curation:people", project.slug)
    return redirect("curation:project", project.slug) if mine else redirect("home")


def _page(
    request: MemberRequest, project: Project, form: NewMemberForm, changed: MemberForm | None = None
) -> HttpResponse:
    """The list; `changed` takes the place of its member's form, with what is wrong with it."""
    work = Assignment.objects.submitted().filter(project=project, curator=OuterRef("user")).order_by()
    submits = work.values("curator").annotate(count=Count("pk")).values("count")
    memberships = project.memberships.select_related("user").order_by("user__username")
    memberships = memberships.annotate(submits=Coalesce(Subquery(submits), 0))
    forms = [(found, MemberForm.of(found)) for found in memberships]
    if changed is not None:
        forms = [(found, changed if form.prefix == changed.prefix else form) for found, form in forms]
    context = {"project": project, "people": forms, "form": form}
    return render(request, "curation/people.html", context, status=422 if request.method == "POST" else 200)
