"""Pages: what waits for me, and one project at a glance."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from curation.core.http import MemberRequest
from curation.core.permissions import membership_of, reaches, require
from curation.models import Assignment, Membership, Project, Query, Release, Review

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
    return render(request, "curation/home.html", {"waiting": waiting})


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
        "turn": project.turns.select_related("evaluation__decision", "dataset").first(),
    }
    return render(request, "curation/project.html", context)
