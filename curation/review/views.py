"""Pages: reviewing. What people disagree on, side by side; a reviewer settles it or returns it."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from curation.core.errors import CurationError
from curation.core.permissions import require
from curation.models import Assignment, Membership, Project, Query, Review, SuggestedGrade
from curation.review import consensus
from curation.review.forms import ReopenForm, ReturnForm, SettleForm
from curation.review.grade_table import SideBySide, side_by_side

Role = Membership.Role
PER_PAGE = 25
MOST_COUNTED = 1000


@require_safe
@require(Role.REVIEWER)
def reviews(request: HttpRequest, project: Project) -> HttpResponse:
    found = Review.objects.filter(query__project=project).select_related("query", "reviewer")
    is_done = request.GET.get("state") == "decided"
    waiting = found.waiting().order_by("pk")
    decided = found.exclude(state=Review.State.WAITING).exclude(reviewer=None).order_by("-decided_at")
    page = Paginator(decided if is_done else waiting, PER_PAGE).get_page(request.GET.get("page"))
    offered = SuggestedGrade.objects.waiting().filter(project=project)
    context = {
        "project": project,
        "page": page,
        "is_done": is_done,
        "wanted": {"state": "decided" if is_done else ""},
        "suggested": offered.order_by()[:MOST_COUNTED].count(),
    }
    return render(request, "curation/review/reviews.html", context)


@require_safe
@require(Role.REVIEWER)
def review(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    found = _review(project, pk)
    if _is_judging(request, found):
        messages.warning(request, _("You are judging this question yourself: submit your own work first."))
        return redirect("curation:reviews", project.slug)
    return _page(request, project, side_by_side(found))


@require_POST
@require(Role.REVIEWER)
def settle(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    found = _review(project, pk)
    form = _settle_form(side_by_side(found), request.POST)
    if not form.is_valid():
        return _page(request, project, side_by_side(found), settle_form=form, status=422)
    fields = form.cleaned_data

    def act() -> object:
        return consensus.settle(
            found,
            request.user,
            form.grades(),
            fields["answer"],
            is_unanswerable=fields["is_unanswerable"],
            comment=fields["comment"],
        )

    return _decided(request, project, act, _("Settled."))


@require_POST
@require(Role.REVIEWER)
def return_review(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    found = _review(project, pk)
    form = ReturnForm(request.POST)
    if not form.is_valid():
        return _page(request, project, side_by_side(found), return_form=form, status=422)
    work = get_object_or_404(Assignment, pk=form.cleaned_data["assignment"], query=found.query_id)
    comment = form.cleaned_data["comment"]
    return _decided(
        request,
        project,
        lambda: consensus.return_to_curator(found, request.user, work, comment),
        _("Returned with your comment."),
    )


@require_POST
@require(Role.REVIEWER)
def reopen(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """A settled query before a reviewer again."""
    query = get_object_or_404(Query, project=project, pk=pk)
    form = ReopenForm(request.POST)
    comment = form.cleaned_data["comment"] if form.is_valid() else ""
    try:
        opened = consensus.reopen(query, request.user, comment)
    except CurationError as error:
        messages.error(request, str(error))
        return redirect("curation:query", project.slug, query.pk)
    return redirect("curation:review", project.slug, opened.pk)


def _review(project: Project, pk: int) -> Review:
    rows = Review.objects.select_related("query__project", "reviewer")
    return get_object_or_404(rows, pk=pk, query__project=project)


def _is_judging(request: HttpRequest, found: Review) -> bool:
    return Assignment.objects.held_by(request.user).filter(query=found.query_id).exists()


def _settle_form(shown: SideBySide, data: object = None) -> SettleForm:
    review = shown.review
    initial = {"answer": review.answer, "is_unanswerable": review.is_unanswerable}
    passages = [row.passage.pk for row in (*shown.disputed, *shown.agreed)]
    return SettleForm(data, passages=passages, initial=initial)


def _page(
    request: HttpRequest,
    project: Project,
    shown: SideBySide,
    *,
    settle_form: SettleForm | None = None,
    return_form: ReturnForm | None = None,
    status: int = 200,
) -> HttpResponse:
    form = settle_form or _settle_form(shown)
    context = {"project": project, "shown": shown, "form": form, "return_form": return_form or ReturnForm()}
    return render(request, "curation/review/review.html", context, status=status)


def _decided(request: HttpRequest, project: Project, act: Callable[[], object], said: str) -> HttpResponse:
    """Do it, and go on with the next that waits."""
    try:
        act()
    except CurationError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said)
    following = Review.objects.waiting().filter(query__project=project).order_by("pk").first()
    if following is None:
        return redirect("curation:reviews", project.slug)
    return redirect("curation:review", project.slug, following.pk)
