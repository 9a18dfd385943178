"""Pages: judging. The page shows one assignment; each thing a person does on it is one act with an address."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from curation.annotation import assignments, judgements
from curation.annotation.forms import (
    CANNOT_TELL,
    AnswerForm,
    ClaimForm,
    CommentForm,
    FlagForm,
    GradeForm,
    NothingForm,
    PassageForm,
    SearchForm,
    SubmitForm,
    SwitchForm,
)
from curation.annotation.judge_page import card_of, choices_of, page_of, work_of
from curation.annotation.passage_search import hits_of
from curation.annotation.responses import acting, back_to, is_json, key_of, own_assignment, sent
from curation.core.permissions import require
from curation.models import Assignment, Membership, Project
from curation.review import consensus, visibility
from curation.templatetags.judging import markdown

Role = Membership.Role
Fields = dict[str, Any]


@require_safe
@require(Role.ANNOTATOR)
def judge(request: HttpRequest, project: Project) -> HttpResponse:
    """Go on with what is held, or claim the next; a page that says why when there is none."""
    reason = _("Every question that waits has been given to somebody, or you have had it.")
    try:
        found = assignments.claim_next(project, request.user)
    except assignments.NotNow as error:
        found, reason = None, str(error)
    if found is None:
        mine = Assignment.objects.filter(project=project, curator=request.user, state=Assignment.State.SKIPPED)
        given_back = mine.select_related("query").order_by("-claimed_at").first()
        context = {"project": project, "reason": reason, "given_back": given_back}
        return render(request, "curation/annotation/judge.html", context)
    return redirect("curation:assignment", project.slug, found.pk)


@require_POST
@require(Role.ANNOTATOR)
def claim(request: HttpRequest, project: Project) -> HttpResponse:
    """The address of the assignment after the one on screen, claimed ahead; nothing when there is none."""
    form = ClaimForm(sent(request) or {})
    if not form.is_valid():
        return JsonResponse({"error": _("What was sent cannot be read.")}, status=422)
    try:
        found = assignments.claim_next(project, request.user, beside=form.cleaned_data["beside"])
    except assignments.NotNow as error:
        return JsonResponse({"error": str(error)}, status=409)
    if found is None:
        return JsonResponse({})
    return JsonResponse({"assignment": found.pk, "url": reverse("curation:assignment", args=[project.slug, found.pk])})


@require_safe
@require(Role.ANNOTATOR)
def assignment(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    mine = own_assignment(request, project, pk)
    is_submitted = mine.state == Assignment.State.SUBMITTED
    work = work_of(mine, seen=visibility.to(request.membership, mine.query) if is_submitted else None)
    template = "curation/annotation/assignment.html" + ("#work" if request.headers.get("HX-Request") else "")
    response = render(request, template, page_of(request, project, work))
    if work.is_open:
        response["X-Owner"] = request.user.pk  # their browser may keep a copy, for a reload without a connection
    return response


@acting(GradeForm)
def grades(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields:
    grade, passage = fields["grade"], fields["passage"]
    if grade == "":
        judgements.clear(mine, passage, key=key_of(request))
        return {"passage": passage, "grade": ""}
    number = None if grade == CANNOT_TELL else int(grade)
    judgements.record(
        mine,
        passage,
        number,
        key=key_of(request),
        position=fields["position"],
        seconds=fields["seconds"],
        evidence=fields["evidence"],
    )
    return {"passage": passage, "grade": grade}


@acting(AnswerForm)
def write_answer(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields:
    judgements.write_answer(
        mine,
        fields["text"],
        key=key_of(request),
        citations=fields["citations"],
        unsupported=fields["unsupported"],
        seconds=fields["seconds"],
    )
    return {"length": len(fields["text"])}


@acting(SwitchForm)
def unanswerable(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields:
    judgements.mark_unanswerable(mine, fields["value"], key=key_of(request))
    return {"value": fields["value"]}


@acting(FlagForm)
def flag(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields:
    judgements.flag(mine, fields["comment"], is_flagged=not fields["down"], key=key_of(request))
    return {"comment": fields["comment"], "down": fields["down"]}


@acting(CommentForm)
def skip(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields | HttpResponse:
    assignments.skip(mine, fields["comment"])
    return {} if is_json(request) else redirect("curation:judge", mine.project.slug)


@acting(SubmitForm)
def submit(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields | HttpResponse:
    """A plain form sends the answer along with the submit; the page's own script has saved it before."""
    if fields["text"] is not None:
        judgements.write_answer(mine, fields["text"])
    done = judgements.submit(mine, key=key_of(request))
    if is_json(request):
        return {"assignment": mine.pk, "is_extra": done.is_extra, "gold": gold_feedback(done.assignment)}
    if done.is_extra:
        messages.info(request, _("Submitted after its place was taken; kept as an extra."))
    return redirect("curation:judge", mine.project.slug)


def gold_feedback(submitted: Assignment) -> dict[str, int] | None:
    """How the person did, where it was a gold question and the project tells at once."""
    at_once = submitted.project.gold_feedback == Project.GoldFeedback.AT_ONCE
    if submitted.selection != Assignment.Selection.GOLD or not at_once:
        return None
    return consensus.gold_result(submitted, submitted.query)


@acting(NothingForm)
def undo_submit(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields:
    judgements.undo_submit(mine, key=key_of(request))
    return {"assignment": mine.pk}


@acting(NothingForm)
def renew(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields:
    renewed = assignments.renew(mine)
    return {"lease_until": renewed.lease_until and renewed.lease_until.isoformat()}


@acting(AnswerForm)
def preview(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields:
    own_assignment(request, mine.project, mine.pk)
    return {"html": markdown(fields["text"])}


@acting(PassageForm)
def add_passage(request: HttpRequest, mine: Assignment, fields: Fields) -> Fields | HttpResponse:
    judgements.add_passage(mine, fields["passage"])
    if not is_json(request):
        return back_to(mine, fields["passage"])
    mine = own_assignment(request, mine.project, mine.pk)
    context = page_of(request, mine.project, work_of(mine)) | {"is_open": True}
    context |= {"choices": choices_of(mine.project), "card": card_of(mine, fields["passage"])}
    return {"html": render_to_string("curation/annotation/_card.html", context, request)}


@require_safe
@require(Role.ANNOTATOR)
def find_passages(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Passages of the corpus for the person's own words, to be added and graded."""
    mine = own_assignment(request, project, pk)
    form = SearchForm(request.GET)
    text = form.cleaned_data["q"].strip() if form.is_valid() else ""
    context = {"project": project, "assignment": mine, "q": text, **hits_of(mine, text)}
    template = "curation/annotation/find_passages.html" + ("#hits" if request.headers.get("HX-Request") else "")
    return render(request, template, context)
