"""Pages: what waits for me, and one project at a glance."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from common.jobs import enqueue
from curation import tasks
from curation.core.http import MemberRequest
from curation.core.permissions import membership_of, reaches, require
from curation.models import Assignment, Membership, Preferences, Project, Query, Release, Review
from curation.projects import members as member_acts
from curation.projects import project_settings
from curation.projects.forms import GradesForm, GuidelinesForm, MemberForm, NewMemberForm, PreferencesForm, ProjectForm

MOST_COUNTED = 1000  # beyond this a count says "999+": it must not slow the first page of the day


@dataclass(frozen=True)
class Waiting:
    """What waits for one person in one project."""

    project: Project
    begun: Assignment | None
    to_judge: int
    to_review: int
    returned: int
    can_ask: bool

    @property
    def is_empty(self) -> bool:
        return not (self.begun or self.to_judge or self.to_review)


def waiting_for(user: User, project: Project, membership: Membership) -> Waiting:
    held = Assignment.objects.held_by(user).filter(project=project)
    free = Assignment.objects.open_for(user).filter(project=project)
    reviews = Review.objects.waiting().filter(query__project=project)
    may_review = reaches(membership, Membership.Role.REVIEWER)
    return Waiting(
        project=project,
        begun=held.select_related("query").order_by("claimed_at").first(),
        to_judge=free.order_by()[:MOST_COUNTED].count(),
        to_review=reviews.order_by()[:MOST_COUNTED].count() if may_review else 0,
        returned=held.exclude(submitted_at=None).count(),
        can_ask=project.serves,
    )


@require_safe
@login_required
def home(request: MemberRequest) -> HttpResponse:
    projects = Project.objects.visible_to(request.user).order_by("name")
    memberships = [(project, membership_of(request.user, project)) for project in projects]
    waiting = [waiting_for(request.user, project, mine) for project, mine in memberships if mine]
    return render(request, "curation/projects/home.html", {"waiting": waiting})


@require_safe
@require(Membership.Role.ANNOTATOR)
def project(request: MemberRequest, project: Project) -> HttpResponse:
    by_state = {state: project.queries.filter(state=state).count() for state in Query.State.values}
    serving = project.releases.serving().select_related("build__encoder", "generator").first()
    context = {
        "project": project,
        "waiting": waiting_for(request.user, project, request.membership),
        "asked": sum(by_state.values()),
        "settled": by_state[Query.State.SETTLED],
        "by_state": by_state,
        "serving": serving,
        "releases": project.releases.exclude(state=Release.State.CANDIDATE).count(),
        "passages": serving.build.passage_count if serving else project.corpus.passages.active().count(),
        "recent": project.queries.order_by("-pk")[:5],
        "cycle": project.cycles.select_related("evaluation__decision", "dataset").first(),
    }
    return render(request, "curation/projects/project.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def settings(request: MemberRequest, project: Project) -> HttpResponse:
    latest = project.guidelines.first()
    initial = {"text": latest.text if latest else ""}
    form = ProjectForm(_sent(request, "project"), instance=Project.objects.get(pk=project.pk))
    grades_form = GradesForm(_sent(request, "grades"), project=project, prefix="r")
    guidelines_form = GuidelinesForm(_sent(request, "guidelines"), initial=initial, prefix="g")
    if form.is_valid():
        project_settings.change(project, form.cleaned_data, actor=request.user)
        enqueue(tasks.follow_overlap, project.pk)
        messages.success(request, _("Saved."))
        return redirect("curation:settings", project.slug)
    if grades_form.is_valid() and not grades_form.is_locked:
        project_settings.change(project, {"grades": grades_form.grades()}, actor=request.user)
        messages.success(request, _("Saved."))
        return redirect("curation:settings", project.slug)
    if guidelines_form.is_valid():
        saved = project_settings.write_guidelines(project, guidelines_form.cleaned_data["text"], actor=request.user)
        words = _("Version %(version)d of the guidelines holds from now on.")
        messages.success(request, words % {"version": saved.version})
        return redirect("curation:settings", project.slug)
    context = {
        "project": project,
        "form": form,
        "grades_form": grades_form,
        "guidelines_form": guidelines_form,
        "guidelines": latest,
        "members": project.memberships.select_related("user").order_by("user__username"),
    }
    return render(request, "curation/projects/settings.html", context, status=422 if request.method == "POST" else 200)


def _sent(request: MemberRequest, part: str) -> QueryDict | None:
    """What was posted, when it was posted by this part of the page: its button carries the part's name."""
    return request.POST if request.method == "POST" and part in request.POST else None


Role = Membership.Role


@require_http_methods(["GET", "HEAD", "POST"])
@require(Role.MANAGER)
def members(request: MemberRequest, project: Project) -> HttpResponse:
    form = NewMemberForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _page(request, project, form)
    sent = form.cleaned_data
    user = sent["username"]
    try:
        member_acts.admit(project, user, sent["role"], daily_quota=sent["daily_quota"], actor=request.user)
    except member_acts.AlreadyMember as error:
        form.add_error("username", str(error))
        return _page(request, project, form)
    messages.success(request, _("%(name)s is of this project from now on.") % {"name": user})
    return redirect("curation:members", project.slug)


@require_POST
@require(Role.MANAGER)
def member(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Another role, quota or pause."""
    found = _member(project, pk)
    form = MemberForm.of(found, request.POST)
    if not form.is_valid():
        return _page(request, project, NewMemberForm(), form)
    try:
        member_acts.change(found, **form.cleaned_data, actor=request.user)
    except (member_acts.LastManager, member_acts.NotMember) as error:
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
        return render(request, "curation/projects/remove_member.html", context)
    try:
        member_acts.dismiss(found, actor=request.user)
    except (member_acts.LastManager, member_acts.NotMember) as error:
        return render(request, "curation/projects/remove_member.html", context | {"problem": str(error)}, status=422)
    messages.success(request, _("%(name)s is not of this project any more.") % {"name": found.user})
    return _back(request, project, found)


def _member(project: Project, pk: int) -> Membership:
    return get_object_or_404(project.memberships.select_related("user"), pk=pk)


def _back(request: MemberRequest, project: Project, changed: Membership) -> HttpResponse:
    """To the page of the people, unless it was oneself and one may not see it any more."""
    mine = project.memberships.filter(user=request.user).first()
    stays = request.user.is_superuser or (mine is not None and mine.role == Role.MANAGER)
    if stays:
        return redirect("curation:members", project.slug)
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
    return render(request, "curation/projects/members.html", context, status=422 if request.method == "POST" else 200)


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
    return render(request, "curation/projects/preferences.html", {"form": form}, status=status)


@require_POST
@login_required
def default_keys(request: HttpRequest) -> HttpResponse:
    """Every key as it is for everybody."""
    Preferences.objects.filter(user_id=request.user.pk).update(keys={})
    messages.success(request, _("The keys are the default ones again."))
    return redirect("preferences")
