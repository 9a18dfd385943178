"""Pages: ask, and what was asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from common.jobs import enqueue
from curation import tasks
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Assignment, Draft, Event, Membership, Project, Query, Ranking, Review, SuggestedGrade
from curation.projects import project_settings
from curation.queries import intake
from curation.queries.forms import AskForm, OverlapForm, QueryFilterForm
from curation.review import consensus, visibility

PER_PAGE = 25
LATEST_EVENTS = 60
DRAFT_IS_LATE = timedelta(minutes=2)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.ANNOTATOR)
def ask(request: MemberRequest, project: Project) -> HttpResponse:
    form = AskForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            query = intake.ask(project, form.cleaned_data["text"], source=Query.Source.PAGE, user=request.user)
        except CurationError as error:
            form.add_error(None, str(error))
        else:
            ranking = query.rankings.latest("pk")
            enqueue(tasks.draft, ranking.pk)  # a person waits: not behind a training
            return redirect("curation:query", project.slug, query.pk)
    context = {
        "project": project,
        "form": form,
        "serving": project.releases.serving().select_related("build__encoder", "generator").first(),
        "asked": project.queries.filter(asked_by=request.user).order_by("-pk")[:8],
    }
    return render(request, "curation/queries/ask.html", context, status=422 if request.method == "POST" else 200)


@require_safe
@vary_on_headers("HX-Request")
@require(Membership.Role.ANNOTATOR)
def queries(request: MemberRequest, project: Project) -> HttpResponse:
    form = QueryFilterForm(request.GET)
    form.is_valid()
    wanted = form.cleaned_data
    found = project.queries.order_by("-pk")
    if wanted.get("state"):
        found = found.filter(state=wanted["state"])
    if wanted.get("q"):
        found = found.filter(text__icontains=wanted["q"])
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    context = {"project": project, "form": form, "page": page, "wanted": wanted, "states": Query.State.choices}
    context["can_ask"] = project.serves
    template = "curation/queries/queries.html#list" if request.htmx else "curation/queries/queries.html"
    return render(request, template, context)


@require_safe
@vary_on_headers("HX-Request")
@require(Membership.Role.ANNOTATOR)
def query(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    query = get_object_or_404(project.queries.select_related("asked_by"), pk=pk)
    query.project = project
    rankings = list(query.rankings.select_related("release", "build").order_by("-pk"))
    wanted = request.GET.get("ranking", "")
    ranking = next((row for row in rankings if str(row.pk) == wanted), rankings[0] if rankings else None)
    context = {"project": project, "query": query, "rankings": rankings} | _answer(ranking)
    if request.htmx:
        return render(request, "curation/queries/query.html#answer", context)
    return render(request, "curation/queries/query.html", context | _opinions(request, query, ranking))


def _answer(ranking: Ranking | None) -> dict[str, Any]:
    """The draft of the ranking, or how long it has been waited for; for a settled query nobody writes one."""
    draft = Draft.objects.filter(ranking=ranking).select_related("generator").first() if ranking else None
    is_awaited = is_late = False
    if ranking is not None and draft is None and ranking.release_id is not None:
        is_awaited = ranking.query.state != Query.State.SETTLED
        is_late = is_awaited and timezone.now() - ranking.created_at > DRAFT_IS_LATE
    return {"ranking": ranking, "draft": draft, "is_awaited": is_awaited, "is_late": is_late}


def _opinions(request: MemberRequest, query: Query, ranking: Ranking | None) -> dict[str, Any]:
    """What people thought of it, as far as the one who asks may see."""
    revealed = visibility.to(request.membership, query)
    review = Review.objects.current().filter(query=query).select_related("reviewer").first()
    shows_settled = review is not None and revealed.has_others
    shown = ranking.shown.select_related("passage__document") if ranking else []
    judgements = revealed.judgements.select_related("curator", "passage").order_by("passage_id", "pk")
    grades: dict[int, list[Any]] = {}
    for judgement in judgements:
        grades.setdefault(judgement.passage_id, []).append(judgement)
    offered = SuggestedGrade.objects.waiting().filter(query=query) if revealed.has_others else []
    events = Event.objects.filter(query=query).select_related("actor").order_by("-pk")
    return {
        "shown": shown,
        "grades": grades,
        "revealed": revealed,
        "review": review if shows_settled else None,
        "settled_grades": {row.passage_id: row for row in review.grades.all()} if review and shows_settled else {},
        "suggested": {row.passage_id: row for row in offered},
        "events": audit_log.gathered(events[:LATEST_EVENTS]) if revealed.has_others else [],
        "submitted": query.assignments.filter(is_extra=False, is_re_annotation=False).submitted().count(),
        "mine": Assignment.objects.held_by(request.user).filter(query=query).first(),
    }


@require_POST
@require(Membership.Role.MANAGER)
def overlap(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = _query(project, pk)
    form = OverlapForm(request.POST)
    if form.is_valid():
        project_settings.set_overlap(found, form.cleaned_data["overlap"], actor=request.user)
        messages.success(request, _("Saved."))
    else:
        messages.error(request, form.errors["overlap"][0])
    return redirect("curation:query", project.slug, pk)


@require_POST
@require(Membership.Role.MANAGER)
def gold(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Make it a gold question, or an ordinary one again."""
    found = _query(project, pk)
    try:
        if found.gold is None:
            consensus.make_gold(found, request.user)
        else:
            consensus.unmake_gold(found, request.user)
    except consensus.NotSettled as error:
        messages.error(request, str(error))
    return redirect("curation:query", project.slug, pk)


def _query(project: Project, pk: int) -> Query:
    return get_object_or_404(project.queries.select_related("project"), pk=pk)
