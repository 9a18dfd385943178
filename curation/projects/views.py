"""Pages: home, a project's overview, settings and members, and the person's preferences."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from curation.core.http import MemberRequest
from curation.core.permissions import find_membership, is_at_least, role_required
from curation.models import Assignment, Membership, Preferences, Project, Review
from curation.projects import members as project_members
from curation.projects import overlap as project_overlap
from curation.projects import project_settings
from curation.projects.forms import (
    GradesForm,
    GuidelinesForm,
    MemberForm,
    NewMemberForm,
    OverlapForm,
    PreferencesForm,
    ProjectForm,
)

Role = Membership.Role

COUNT_CAP = 1000  # a count stops here and the page shows "999+": home must open fast on large projects


@dataclass(frozen=True)
class YourWork:
    """The work of one person in one project. current: the assignment they claimed first, where they hold one."""

    project: Project
    current: Assignment | None
    to_judge: int
    to_review: int
    can_ask: bool

    @property
    def is_empty(self) -> bool:
        return not (self.current or self.to_judge or self.to_review)


def work_of(user: User, project: Project, membership: Membership) -> YourWork:
    """Return what the person can do next in the project. Counts stop at COUNT_CAP."""
    held = Assignment.objects.held_by(user).filter(project=project)
    free = Assignment.objects.open_for(user).filter(project=project)
    reviews = Review.objects.waiting().filter(query__project=project)
    may_review = is_at_least(membership, Role.REVIEWER)
    return YourWork(
        project=project,
        current=held.select_related("query").order_by("claimed_at").first(),
        to_judge=free.order_by()[:COUNT_CAP].count(),
        to_review=reviews.order_by()[:COUNT_CAP].count() if may_review else 0,
        can_ask=project.has_live_release,
    )


@require_safe
@login_required
def home(request: MemberRequest) -> HttpResponse:
    projects = Project.objects.visible_to(request.user).order_by("name")
    memberships = [(project, find_membership(request.user, project)) for project in projects]
    work = [work_of(request.user, project, membership) for project, membership in memberships if membership]
    return render(request, "curation/projects/home.html", {"work": work})


@require_safe
@role_required(Role.ANNOTATOR)
def project(request: MemberRequest, project: Project) -> HttpResponse:
    live_release = project.releases.live().select_related("build__encoder", "generator").first()
    context = {
        "project": project,
        "work": work_of(request.user, project, request.membership),
        "asked": project.queries.count(),
        "settled": project.queries.settled().count(),
        "live_release": live_release,
        "passages": live_release.build.passage_count if live_release else project.corpus.passages.active().count(),
        "recent": project.queries.order_by("-pk")[:5],
        "cycle": project.cycles.select_related("evaluation__decision", "dataset").first(),
    }
    return render(request, "curation/projects/project.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.MANAGER)
def settings(request: MemberRequest, project: Project) -> HttpResponse:
    """Three forms on one page. The name of the pressed button tells which one was sent."""
    guidelines = project.guidelines.first()
    initial = {"text": guidelines.text if guidelines else ""}
    form = ProjectForm(_posted(request, "project"), instance=Project.objects.get(pk=project.pk))
    grades_form = GradesForm(_posted(request, "grades"), project=project, prefix="r")
    guidelines_form = GuidelinesForm(_posted(request, "guidelines"), initial=initial, prefix="g")
    if _save_settings(request, project, form, grades_form, guidelines_form):
        return redirect("curation:settings", project.slug)
    context = {
        "project": project,
        "form": form,
        "grades_form": grades_form,
        "guidelines_form": guidelines_form,
        "guidelines": guidelines,
        "members": project.memberships.select_related("user").order_by("user__username"),
    }
    return render(request, "curation/projects/settings.html", context, status=422 if request.method == "POST" else 200)


def _posted(request: MemberRequest, button: str) -> QueryDict | None:
    """Return the posted data if this button of the page was pressed."""
    return request.POST if request.method == "POST" and button in request.POST else None


def _save_settings(
    request: MemberRequest,
    project: Project,
    form: ProjectForm,
    grades_form: GradesForm,
    guidelines_form: GuidelinesForm,
) -> bool:
    """Save the form that was sent; whether there was a valid one."""
    text = _("Saved.")
    if form.is_valid():
        project_settings.change(project, form.cleaned_data, actor=request.user)
    elif grades_form.is_valid() and not grades_form.is_locked:
        project_settings.change(project, {"grades": grades_form.grades()}, actor=request.user)
    elif guidelines_form.is_valid():
        saved = project_settings.write_guidelines(project, guidelines_form.cleaned_data["text"], actor=request.user)
        text = _("Version %(version)d of the guidelines is now in use.") % {"version": saved.version}
    else:
        return False
    messages.success(request, text)
    return True


@require_POST
@role_required(Role.MANAGER)
def overlap(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Set how many people judge one query."""
    query = get_object_or_404(project.queries.select_related("project"), pk=pk)
    form = OverlapForm(request.POST)
    if form.is_valid():
        project_overlap.set_for_query(query, form.cleaned_data["overlap"], actor=request.user)
        messages.success(request, _("Saved."))
    else:
        messages.error(request, str(form.errors["overlap"][0]))
    return redirect("curation:query", project.slug, pk)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.MANAGER)
def members(request: MemberRequest, project: Project) -> HttpResponse:
    form = NewMemberForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _members_page(request, project, form)
    fields = form.cleaned_data
    user = fields["username"]
    try:
        project_members.add(project, user, fields["role"], daily_quota=fields["daily_quota"], actor=request.user)
    except project_members.AlreadyMember as error:
        form.add_error("username", str(error))
        return _members_page(request, project, form)
    messages.success(request, _("%(name)s is now a member of this project.") % {"name": user})
    return redirect("curation:members", project.slug)


@require_POST
@role_required(Role.MANAGER)
def member(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Change a member's role, daily quota or pause."""
    membership = _membership(project, pk)
    form = MemberForm.for_member(membership, request.POST)
    if not form.is_valid():
        return _members_page(request, project, NewMemberForm(), form)
    try:
        project_members.change(membership, **form.cleaned_data, actor=request.user)
    except (project_members.LastManager, project_members.NotMember) as error:
        form.add_error("role", str(error))
        return _members_page(request, project, NewMemberForm(), form)
    messages.success(request, _("Saved."))
    return _redirect_after_change(request, project)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.MANAGER)
def remove_member(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    membership = _membership(project, pk)
    context = {"project": project, "member": membership}
    if request.method != "POST":
        return render(request, "curation/projects/remove_member.html", context)
    try:
        project_members.remove(membership, actor=request.user)
    except (project_members.LastManager, project_members.NotMember) as error:
        return render(request, "curation/projects/remove_member.html", context | {"problem": str(error)}, status=422)
    messages.success(request, _("%(name)s is no longer a member of this project.") % {"name": membership.user})
    return _redirect_after_change(request, project)


def _membership(project: Project, pk: int) -> Membership:
    return get_object_or_404(project.memberships.select_related("user"), pk=pk)


def _redirect_after_change(request: MemberRequest, project: Project) -> HttpResponse:
    """Redirect to the members page, or to a page that somebody who changed themselves may still open."""
    own = project.memberships.filter(user=request.user).first()
    if request.user.is_superuser or (own is not None and own.role == Role.MANAGER):
        return redirect("curation:members", project.slug)
    return redirect("curation:project", project.slug) if own else redirect("home")


def _members_page(
    request: MemberRequest, project: Project, form: NewMemberForm, invalid_form: MemberForm | None = None
) -> HttpResponse:
    """Render the list of members. invalid_form stands in its member's row, with its errors."""
    submitted = Assignment.objects.submitted().filter(project=project, curator=OuterRef("user")).order_by()
    submit_counts = submitted.values("curator").annotate(count=Count("pk")).values("count")
    memberships = project.memberships.select_related("user").order_by("user__username")
    memberships = memberships.annotate(submits=Coalesce(Subquery(submit_counts), 0))
    rows = [(membership, MemberForm.for_member(membership)) for membership in memberships]
    if invalid_form is not None:
        rows = [(row, invalid_form if row_form.prefix == invalid_form.prefix else row_form) for row, row_form in rows]
    context = {"project": project, "members": rows, "form": form}
    return render(request, "curation/projects/members.html", context, status=422 if request.method == "POST" else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def preferences(request: MemberRequest) -> HttpResponse:
    own = Preferences.objects.filter(user_id=request.user.pk).first() or Preferences(user_id=request.user.pk)
    form = PreferencesForm(request.POST or None, instance=own)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("preferences")
    status = 422 if request.method == "POST" else 200
    return render(request, "curation/projects/preferences.html", {"form": form}, status=status)


@require_POST
@login_required
def default_keys(request: MemberRequest) -> HttpResponse:
    """Reset the person's keyboard shortcuts."""
    Preferences.objects.filter(user_id=request.user.pk).update(keys={})
    messages.success(request, _("The default keyboard shortcuts are back."))
    return redirect("preferences")
