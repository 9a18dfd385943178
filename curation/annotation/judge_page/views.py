"""The judge page: it shows one assignment, and each act of a person on it has its own URL."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from curation.annotation import claims, judgements, leases
from curation.annotation.judge_page.forms import (
    AnswerForm,
    ClaimForm,
    CommentForm,
    EmptyForm,
    FlagForm,
    GradeForm,
    PassageForm,
    SearchForm,
    SubmitForm,
    ValueForm,
)
from curation.annotation.judge_page.page_context import build_card, build_work, page_context
from curation.annotation.judge_page.passage_search import search_context
from curation.annotation.judge_page.responses import (
    Fields,
    assignment_act,
    get_own_assignment,
    idempotency_key,
    is_json,
    read_fields,
    redirect_to_assignment,
)
from curation.core import visibility
from curation.core.grades import CANNOT_TELL, grade_choices
from curation.core.http import MemberRequest
from curation.core.markdown import render_markdown
from curation.core.permissions import role_required
from curation.models import Assignment, Membership, Project
from curation.review import gold

Role = Membership.Role


@require_safe
@role_required(Role.ANNOTATOR)
def judge(request: MemberRequest, project: Project) -> HttpResponse:
    """Redirect to the person's assignment, claimed if need be; a page with the reason where there is none."""
    reason = _("All open queries are taken, or you have had them before.")
    try:
        assignment = claims.claim_next(project, request.user)
    except claims.ClaimRefused as error:
        assignment, reason = None, str(error)
    if assignment is not None:
        return redirect("curation:assignment", project.slug, assignment.pk)
    skipped = Assignment.objects.filter(project=project, curator=request.user, state=Assignment.State.SKIPPED)
    last_skipped = skipped.select_related("query").order_by("-claimed_at").first()
    context = {"project": project, "reason": reason, "last_skipped": last_skipped}
    return render(request, "curation/annotation/judge.html", context)


@require_POST
@role_required(Role.ANNOTATOR)
def claim(request: MemberRequest, project: Project) -> HttpResponse:
    """Claim the assignment after the one on screen ahead and return its URL; an empty object where there is none."""
    form = ClaimForm(read_fields(request) or {})
    if not form.is_valid():
        return JsonResponse({"error": _("The request could not be read.")}, status=422)
    try:
        following = claims.claim_next(project, request.user, beside=form.cleaned_data["beside"])
    except claims.ClaimRefused as error:
        return JsonResponse({"error": str(error)}, status=409)
    if following is None:
        return JsonResponse({})
    url = reverse("curation:assignment", args=[project.slug, following.pk])
    return JsonResponse({"assignment": following.pk, "url": url})


@require_safe
@role_required(Role.ANNOTATOR)
def assignment(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Show one of the person's assignments; the part that changes alone for a request of the page's script."""
    assignment = get_own_assignment(request, project, pk)
    is_submitted = assignment.state == Assignment.State.SUBMITTED
    visible = visibility.visible_judgements(request.membership, assignment.query) if is_submitted else None
    work = build_work(assignment, visible=visible)
    template = "curation/annotation/assignment.html" + ("#work" if request.headers.get("HX-Request") else "")
    response = render(request, template, page_context(request, project, work))
    if work.is_open:
        # Their browser may keep a copy, for a reload without a connection.
        response["X-Owner"] = str(request.user.pk)
    return response


@assignment_act(GradeForm)
def grades(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields:
    """Save or clear the grade of a passage."""
    grade, passage = fields["grade"], fields["passage"]
    if grade == "":
        judgements.clear(assignment, passage, key=idempotency_key(request))
        return {"passage": passage, "grade": ""}
    judgements.record(
        assignment,
        passage,
        None if grade == CANNOT_TELL else int(grade),
        key=idempotency_key(request),
        position=fields["position"],
        seconds=fields["seconds"],
        evidence=fields["evidence"],
    )
    return {"passage": passage, "grade": grade}


@assignment_act(AnswerForm)
def write_answer(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields:
    """Save the answer."""
    judgements.write_answer(
        assignment,
        fields["text"],
        key=idempotency_key(request),
        citations=fields["citations"],
        unsupported=fields["unsupported"],
        seconds=fields["seconds"],
    )
    return {"length": len(fields["text"])}


@assignment_act(ValueForm)
def unanswerable(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields:
    """Set or remove the mark that the corpus holds no answer."""
    judgements.mark_unanswerable(assignment, fields["value"], key=idempotency_key(request))
    return {"value": fields["value"]}


@assignment_act(FlagForm)
def flag(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields:
    """Set or remove the flag for a reviewer."""
    judgements.flag(assignment, fields["comment"], is_flagged=not fields["down"], key=idempotency_key(request))
    return {"comment": fields["comment"], "down": fields["down"]}


@assignment_act(CommentForm)
def skip(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields | HttpResponse:
    """Skip the assignment."""
    claims.skip(assignment, fields["comment"])
    return {} if is_json(request) else redirect("curation:judge", assignment.project.slug)


@assignment_act(SubmitForm)
def submit(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields | HttpResponse:
    """Submit the work. A plain form sends the answer along; the page's own script has saved it before."""
    if fields["text"] is not None:
        judgements.write_answer(assignment, fields["text"])
    submitted = judgements.submit(assignment, key=idempotency_key(request))
    if is_json(request):
        feedback = _gold_feedback(submitted.assignment)
        return {"assignment": assignment.pk, "is_extra": submitted.is_extra, "gold": feedback}
    if submitted.is_extra:
        messages.info(request, _("Someone else finished this one first; yours is kept but not counted."))
    return redirect("curation:judge", assignment.project.slug)


def _gold_feedback(submitted: Assignment) -> dict[str, int] | None:
    """Return the accuracy on a gold question, where the project gives feedback at once."""
    gives_feedback = submitted.project.gold_feedback == Project.GoldFeedback.AT_ONCE
    if submitted.selection != Assignment.Selection.GOLD or not gives_feedback:
        return None
    return gold.accuracy(submitted, submitted.query)


@assignment_act(EmptyForm)
def undo_submit(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields:
    """Undo the submit or the skip."""
    judgements.undo_submit(assignment, key=idempotency_key(request))
    return {"assignment": assignment.pk}


@assignment_act(EmptyForm)
def renew(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields:
    """Renew the lease and return when it ends."""
    renewed = leases.renew(assignment)
    return {"lease_until": renewed.lease_until and renewed.lease_until.isoformat()}


@assignment_act(AnswerForm)
def preview(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields:
    """Return the answer's Markdown as HTML."""
    get_own_assignment(request, assignment.project, assignment.pk)
    return {"html": render_markdown(fields["text"])}


@assignment_act(PassageForm)
def add_passage(request: MemberRequest, assignment: Assignment, fields: Fields) -> Fields | HttpResponse:
    """Add a passage of the corpus to those to grade."""
    judgements.add_passage(assignment, fields["passage"])
    if not is_json(request):
        return redirect_to_assignment(assignment, fields["passage"])
    assignment = get_own_assignment(request, assignment.project, assignment.pk)
    context = page_context(request, assignment.project, build_work(assignment)) | {"is_open": True}
    context |= {"choices": grade_choices(assignment.project), "card": build_card(assignment, fields["passage"])}
    return {"html": render_to_string("curation/annotation/_card.html", context, request)}


@require_safe
@role_required(Role.ANNOTATOR)
def find_passages(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """Search the corpus for a missing passage in the person's own words."""
    assignment = get_own_assignment(request, project, pk)
    form = SearchForm(request.GET)
    text = form.cleaned_data["q"].strip() if form.is_valid() else ""
    context = {"project": project, "assignment": assignment, "q": text, **search_context(assignment, text)}
    template = "curation/annotation/find_passages.html" + ("#hits" if request.headers.get("HX-Request") else "")
    return render(request, template, context)
