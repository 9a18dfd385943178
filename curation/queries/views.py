"""Pages of the queries room: ask, list the queries, show one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from curation.core import audit_log, visibility
from curation.core.errors import CurationError
from curation.core.http import MemberRequest
from curation.core.permissions import role_required
from curation.models import (
    Assignment,
    Draft,
    Event,
    Judgement,
    Membership,
    Project,
    Query,
    Ranking,
    Review,
    SuggestedGrade,
)
from curation.queries import intake
from curation.queries.forms import AskForm, QueryFilterForm

PER_PAGE = 25
MAX_EVENTS = 60
MAX_RECENT = 8
DRAFT_IS_LATE = timedelta(minutes=2)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Membership.Role.ANNOTATOR)
def ask(request: MemberRequest, project: Project) -> HttpResponse:
    """Ask a question; on success show its page."""
    form = AskForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            query = intake.ask(project, form.cleaned_data["text"], source=Query.Source.PAGE, user=request.user)
        except CurationError as error:
            form.add_error(None, str(error))
        else:
            return redirect("curation:query", project.slug, query.pk)
    context = {
        "project": project,
        "form": form,
        "live_release": project.releases.live().select_related("build__encoder", "generator").first(),
        "recent": project.queries.filter(asked_by=request.user).order_by("-pk")[:MAX_RECENT],
    }
    return render(request, "curation/queries/ask.html", context, status=422 if request.method == "POST" else 200)


@require_safe
@vary_on_headers("HX-Request")
@role_required(Membership.Role.ANNOTATOR)
def queries(request: MemberRequest, project: Project) -> HttpResponse:
    """List the queries, filtered by text and state."""
    form = QueryFilterForm(request.GET)
    form.is_valid()
    filters = form.cleaned_data
    rows = project.queries.order_by("-pk")
    if filters.get("state"):
        rows = rows.filter(state=filters["state"])
    if filters.get("q"):
        rows = rows.filter(text__icontains=filters["q"])
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    context = {"project": project, "form": form, "page": page, "filters": filters, "states": Query.State.choices}
    context["can_ask"] = project.has_live_release
    template = "curation/queries/queries.html#list" if request.htmx else "curation/queries/queries.html"
    return render(request, template, context)


@require_safe
@vary_on_headers("HX-Request")
@role_required(Membership.Role.ANNOTATOR)
def query(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Show one query with a ranking, its draft, and what people decided; for htmx the draft alone."""
    query = get_object_or_404(project.queries.select_related("asked_by"), pk=pk)
    query.project = project
    rankings = list(query.rankings.select_related("release", "build").order_by("-pk"))
    chosen_id = request.GET.get("ranking", "")
    ranking = next((row for row in rankings if str(row.pk) == chosen_id), rankings[0] if rankings else None)
    context = {"project": project, "query": query, "rankings": rankings} | _draft_context(ranking)
    if request.htmx:
        return render(request, "curation/queries/query.html#answer", context)
    return render(request, "curation/queries/query.html", context | _annotation_context(request, query, ranking))


def _draft_context(ranking: Ranking | None) -> dict[str, Any]:
    """Return the draft of the ranking, or how long it has been awaited. No draft is written of a settled query."""
    draft = Draft.objects.filter(ranking=ranking).select_related("generator").first() if ranking else None
    is_awaited = is_late = False
    if ranking is not None and draft is None and ranking.release_id is not None:
        is_awaited = ranking.query.state != Query.State.SETTLED
        is_late = is_awaited and timezone.now() - ranking.created_at > DRAFT_IS_LATE
    return {"ranking": ranking, "draft": draft, "is_awaited": is_awaited, "is_late": is_late}


def _annotation_context(request: MemberRequest, query: Query, ranking: Ranking | None) -> dict[str, Any]:
    """Return the grades, decisions and events of the query that the member may see."""
    visible = visibility.visible_judgements(request.membership, query)
    review = Review.objects.current().filter(query=query).select_related("reviewer").first()
    if not visible.has_others:
        review = None
    suggestions = SuggestedGrade.objects.waiting().filter(query=query) if visible.has_others else []
    events = Event.objects.filter(query=query).select_related("actor").order_by("-pk")
    return {
        "shown": ranking.shown.select_related("passage__document") if ranking else [],
        "grades": _by_passage(visible),
        "visible": visible,
        "review": review,
        "settled_grades": {row.passage_id: row for row in review.grades.all()} if review else {},
        "suggested": {row.passage_id: row for row in suggestions},
        "events": audit_log.merge_grades(events[:MAX_EVENTS]) if visible.has_others else [],
        "submitted": query.assignments.filter(is_extra=False, is_re_annotation=False).submitted().count(),
        "own_assignment": Assignment.objects.held_by(request.user).filter(query=query).first(),
    }


def _by_passage(visible: visibility.VisibleJudgements) -> dict[int, list[Judgement]]:
    """Return passage id → the visible judgements, oldest first."""
    by_passage: dict[int, list[Judgement]] = {}
    for judgement in visible.judgements.select_related("curator", "passage").order_by("passage_id", "pk"):
        by_passage.setdefault(judgement.passage_id, []).append(judgement)
    return by_passage
