"""Pages: passing on. Grades that near-duplicates and paraphrases may take over, confirmed or refused as a batch."""

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
from curation.core.permissions import require
from curation.models import Assignment, Membership, Project, SuggestedGrade
from curation.propagation import suggestion_review
from curation.propagation.forms import CONFIRM, REFUSE, DecideForm

Role = Membership.Role
PER_PAGE = 50


@require_safe
@require(Role.REVIEWER)
def suggested_grades(request: MemberRequest, project: Project) -> HttpResponse:
    """What waits, query by query; what the person is judging themselves is not shown to them."""
    is_done = request.GET.get("state") == "decided"
    page = Paginator(_shown(request, project, is_done), PER_PAGE).get_page(request.GET.get("page"))
    context = {"project": project, "page": page, "is_done": is_done, "wanted": {"state": "decided" if is_done else ""}}
    return render(request, "curation/propagation/suggested_grades.html", context)


@require_POST
@require(Role.REVIEWER)
def decide(request: MemberRequest, project: Project) -> HttpResponse:
    form = DecideForm(request.POST)
    if not form.is_valid():
        messages.error(request, next(iter(form.errors.values()))[0])
        return redirect("curation:suggested_grades", project.slug)
    ids, decision = form.cleaned_data["offers"], form.cleaned_data["decision"]
    if decision == CONFIRM:
        done = suggestion_review.confirm(project, ids, request.user)
        said = ngettext("%(n)d grade confirmed.", "%(n)d grades confirmed.", done.done)
    elif decision == REFUSE:
        done = suggestion_review.refuse(project, ids, request.user)
        said = ngettext("%(n)d grade refused.", "%(n)d grades refused.", done.done)
    else:
        done = suggestion_review.take_back(project, ids, request.user)
        said = ngettext("%(n)d grade waits again.", "%(n)d grades wait again.", done.done)
    _tell(request, said % {"n": done.done}, done)
    return redirect("curation:suggested_grades", project.slug)


def _shown(request: MemberRequest, project: Project, is_done: bool) -> QuerySet[SuggestedGrade]:
    found = SuggestedGrade.objects.filter(project=project)
    found = found.select_related("query", "passage__document", "from_query", "from_passage__document", "decided_by")
    if is_done:
        return found.decided().order_by("-decided_at", "-pk")
    judging = Assignment.objects.held_by(request.user).filter(project=project)
    return found.waiting().exclude(query__in=judging.values("query")).order_by("query", "pk")


def _tell(request: MemberRequest, said: str, done: suggestion_review.Decided) -> None:
    messages.success(request, said)
    if done.overtaken:
        text = ngettext(
            "%(n)d was judged or changed meanwhile.", "%(n)d were judged or changed meanwhile.", done.overtaken
        )
        messages.info(request, text % {"n": done.overtaken})
    if done.left:
        messages.warning(request, _("Of questions you are judging or gave back, somebody else decides."))
