"""Pages of suggested grades: near-duplicates and paraphrases take over a grade once a person confirms it."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from curation.core.http import MemberRequest
from curation.core.permissions import role_required
from curation.models import Assignment, Membership, Project, SuggestedGrade
from curation.propagation import suggestion_review
from curation.propagation.forms import CONFIRM, REJECT, DecideForm

Role = Membership.Role
PER_PAGE = 50


@require_safe
@role_required(Role.REVIEWER)
def suggested_grades(request: MemberRequest, project: Project) -> HttpResponse:
    """List the waiting suggestions by query, without queries that the person is judging; or the decided ones."""
    is_done = request.GET.get("state") == "decided"
    page = Paginator(_suggestions(request, project, is_done), PER_PAGE).get_page(request.GET.get("page"))
    context = {"project": project, "page": page, "is_done": is_done, "filters": {"state": "decided" if is_done else ""}}
    return render(request, "curation/propagation/suggested_grades.html", context)


@require_POST
@role_required(Role.REVIEWER)
def decide(request: MemberRequest, project: Project) -> HttpResponse:
    """Confirm, reject or undo a batch."""
    form = DecideForm(request.POST)
    if not form.is_valid():
        messages.error(request, str(next(iter(form.errors.values()))[0]))
        return redirect("curation:suggested_grades", project.slug)
    ids, decision = form.cleaned_data["suggestions"], form.cleaned_data["decision"]
    if decision == CONFIRM:
        decided = suggestion_review.confirm(project, ids, request.user)
        text = ngettext("%(n)d grade confirmed.", "%(n)d grades confirmed.", decided.done)
    elif decision == REJECT:
        decided = suggestion_review.reject(project, ids, request.user)
        text = ngettext("%(n)d grade rejected.", "%(n)d grades rejected.", decided.done)
    else:
        decided = suggestion_review.undo(project, ids, request.user)
        text = ngettext("%(n)d grade is waiting again.", "%(n)d grades are waiting again.", decided.done)
    _report(request, text % {"n": decided.done}, decided)
    return redirect("curation:suggested_grades", project.slug)


def _suggestions(request: MemberRequest, project: Project, is_done: bool) -> QuerySet[SuggestedGrade]:
    rows = SuggestedGrade.objects.filter(project=project)
    rows = rows.select_related("query", "passage__document", "from_query", "from_passage__document", "decided_by")
    if is_done:
        return rows.decided().order_by("-decided_at", "-pk")
    claimed = Assignment.objects.held_by(request.user).filter(project=project)
    return rows.waiting().exclude(query__in=claimed.values("query")).order_by("query", "pk")


def _report(request: MemberRequest, text: str, decided: suggestion_review.Decided) -> None:
    messages.success(request, text)
    if decided.overtaken:
        text = ngettext(
            "%(n)d was judged or changed meanwhile.", "%(n)d were judged or changed meanwhile.", decided.overtaken
        )
        messages.info(request, text % {"n": decided.overtaken})
    if decided.skipped:
        messages.warning(request, _("Another person has to decide about queries that you are grading or skipped."))
