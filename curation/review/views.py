"""Pages of the review room: what annotators disagree on, and a reviewer's decision."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from curation.core.errors import CurationError
from curation.core.http import MemberRequest
from curation.core.permissions import role_required
from curation.models import Assignment, Membership, Project, Query, Review, SuggestedGrade
from curation.review import adjudication, gold
from curation.review.forms import ReopenForm, ResolveForm, SendBackForm
from curation.review.grade_table import GradeTable, grade_table

Role = Membership.Role
PER_PAGE = 25
MAX_COUNTED = 1000


@require_safe
@role_required(Role.REVIEWER)
def reviews(request: MemberRequest, project: Project) -> HttpResponse:
    """List the reviews that wait, or those that a reviewer has decided."""
    rows = Review.objects.filter(query__project=project).select_related("query", "reviewer")
    is_done = request.GET.get("state") == "decided"
    waiting = rows.waiting().order_by("pk")
    decided = rows.exclude(state=Review.State.WAITING).exclude(reviewer=None).order_by("-decided_at")
    suggestions = SuggestedGrade.objects.waiting().filter(project=project)
    context = {
        "project": project,
        "page": Paginator(decided if is_done else waiting, PER_PAGE).get_page(request.GET.get("page")),
        "is_done": is_done,
        "filters": {"state": "decided" if is_done else ""},
        "suggested": suggestions.order_by()[:MAX_COUNTED].count(),
    }
    return render(request, "curation/review/reviews.html", context)


@require_safe
@role_required(Role.REVIEWER)
def review(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Show one review; not to a reviewer who holds a claim of its query."""
    review = _get_review(project, pk)
    if Assignment.objects.held_by(request.user).filter(query=review.query_id).exists():
        messages.warning(request, _("You are grading this query yourself: submit your own work first."))
        return redirect("curation:reviews", project.slug)
    return _render_review(request, project, grade_table(review))


@require_POST
@role_required(Role.REVIEWER)
def resolve(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Settle the query as the reviewer decides."""
    review = _get_review(project, pk)
    form = _resolve_form(grade_table(review), request.POST)
    if not form.is_valid():
        return _render_review(request, project, grade_table(review), resolve_form=form, status=422)
    fields = form.cleaned_data

    def act() -> object:
        return adjudication.resolve(
            review,
            request.user,
            form.grades(),
            fields["answer"],
            is_unanswerable=fields["is_unanswerable"],
            comment=fields["comment"],
        )

    return _decide(request, project, act, _("Resolved."))


@require_POST
@role_required(Role.REVIEWER)
def send_back(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Send one annotator's work back with a comment."""
    review = _get_review(project, pk)
    form = SendBackForm(request.POST)
    if not form.is_valid():
        return _render_review(request, project, grade_table(review), send_back_form=form, status=422)
    assignment = get_object_or_404(Assignment, pk=form.cleaned_data["assignment"], query=review.query_id)
    comment = form.cleaned_data["comment"]
    return _decide(
        request,
        project,
        lambda: adjudication.send_back(review, request.user, assignment, comment),
        _("Sent back with your comment."),
    )


@require_POST
@role_required(Role.REVIEWER)
def reopen(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Send a settled query to review again."""
    query = get_object_or_404(Query, project=project, pk=pk)
    form = ReopenForm(request.POST)
    comment = form.cleaned_data["comment"] if form.is_valid() else ""
    try:
        reopened = adjudication.reopen(query, request.user, comment)
    except CurationError as error:
        messages.error(request, str(error))
        return redirect("curation:query", project.slug, query.pk)
    return redirect("curation:review", project.slug, reopened.pk)


@require_POST
@role_required(Role.MANAGER)
def toggle_gold(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Make a settled query a gold question, or an ordinary query again."""
    query = get_object_or_404(project.queries.select_related("project"), pk=pk)
    try:
        if query.gold is None:
            gold.mark(query, request.user)
        else:
            gold.unmark(query, request.user)
    except adjudication.NotSettled as error:
        messages.error(request, str(error))
    return redirect("curation:query", project.slug, pk)


def _get_review(project: Project, pk: int) -> Review:
    rows = Review.objects.select_related("query__project", "reviewer")
    return get_object_or_404(rows, pk=pk, query__project=project)


def _resolve_form(table: GradeTable, data: object = None) -> ResolveForm:
    review = table.review
    initial = {"answer": review.answer, "is_unanswerable": review.is_unanswerable}
    passages = [row.passage.pk for row in (*table.disputed, *table.agreed)]
    return ResolveForm(data, passages=passages, initial=initial)


def _render_review(
    request: MemberRequest,
    project: Project,
    table: GradeTable,
    *,
    resolve_form: ResolveForm | None = None,
    send_back_form: SendBackForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "project": project,
        "table": table,
        "form": resolve_form or _resolve_form(table),
        "send_back_form": send_back_form or SendBackForm(),
    }
    return render(request, "curation/review/review.html", context, status=status)


def _decide(request: MemberRequest, project: Project, act: Callable[[], object], success_text: str) -> HttpResponse:
    """Run the decision and show the next waiting review."""
    try:
        act()
    except CurationError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, success_text)
    following = Review.objects.waiting().filter(query__project=project).order_by("pk").first()
    if following is None:
        return redirect("curation:reviews", project.slug)
    return redirect("curation:review", project.slug, following.pk)
