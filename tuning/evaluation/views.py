"""Pages: what a tuning must not forget."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from common.text_files import BadInput
from curation.core.http import MemberRequest
from curation.core.permissions import may, require
from curation.models import Membership, Project
from tuning.cycles import policies
from tuning.evaluation import guardrails as guardrail_acts
from tuning.evaluation import preference_votes
from tuning.evaluation.forms import GuardrailSetForm, NewGuardrailSetForm
from tuning.models import ComparisonPair, GuardrailSet, Vote


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def guardrails(request: MemberRequest, project: Project) -> HttpResponse:
    """The project's guardrail sets; a post makes one more."""
    form = NewGuardrailSetForm(request.POST or None, request.FILES or None, sources=_sources(request, project))
    if request.method != "POST":
        return render(request, "tuning/evaluation/guardrails.html", _listed(project, form))
    if form.is_valid():
        try:
            made = _made(project, form.cleaned_data, request.user)
        except BadInput as error:
            place = f"{Path(error.path).name}:{error.line}" if error.line else Path(error.path).name
            form.add_error(None, f"{place}: {error.message}")
        except guardrail_acts.CannotGuard as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The guardrail set %(name)s is asked from now on.") % {"name": made.name})
            return redirect("tuning:guardrails", project.slug)
    return render(request, "tuning/evaluation/guardrails.html", _listed(project, form), status=422)


@require_POST
@require(Membership.Role.MANAGER)
def change_guardrail_set(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = get_object_or_404(project.guardrail_sets, pk=pk)
    form = GuardrailSetForm(request.POST, instance=found)
    if form.is_valid():
        policies.change_guardrail_set(found, form.cleaned_data, actor=request.user)
        messages.success(request, _("Saved."))
        return redirect("tuning:guardrails", project.slug)
    new = NewGuardrailSetForm(sources=_sources(request, project))
    return render(request, "tuning/evaluation/guardrails.html", _listed(project, new, wrong=form), status=422)


def _made(project: Project, sent: dict[str, Any], actor: User) -> GuardrailSet:
    if sent["source"]:
        return guardrail_acts.from_project(project, sent["source"], sent["name"], sent["margin"], actor=actor)
    with tempfile.TemporaryDirectory() as place:
        for name in guardrail_acts.FILES:
            upload = sent[name.partition(".")[0]]
            if upload:
                with (Path(place) / name).open("wb") as file:
                    file.writelines(upload.chunks())
        return guardrail_acts.from_folder(project, Path(place), sent["name"], sent["margin"], actor=actor)


def _sources(request: MemberRequest, project: Project) -> list[Project]:
    """The other projects in which the person may look into everything."""
    seen = Project.objects.visible_to(request.user).exclude(pk=project.pk)
    return [other for other in seen if may(request.user, other, Membership.Role.ENGINEER)]


def _listed(project: Project, form: NewGuardrailSetForm, wrong: GuardrailSetForm | None = None) -> dict[str, Any]:
    known = guardrail_acts.sets_of(project)
    changed = wrong.instance.pk if wrong else None
    forms = [wrong if wrong and one.pk == changed else GuardrailSetForm(instance=one, prefix=None) for one in known]
    for one in forms:
        one.auto_id = f"guard-{one.instance.pk}-%s"
    return {"project": project, "form": form, "forms": forms}


@require_safe
@require(Membership.Role.REVIEWER)
def side_by_side(request: MemberRequest, project: Project) -> HttpResponse:
    """The next pair this person has not voted on; `?release=` keeps to one challenger."""
    wanted = request.GET.get("release", "")
    release = int(wanted) if wanted.isdecimal() and len(wanted) < 10 else None
    left = preference_votes.open_to(project, request.user, release)
    pair = left.select_related("query", "evaluation__champion", "evaluation__challenger").first()
    context = {"project": project, "left": left.count(), "only": release}
    if pair is None:
        return render(request, "tuning/evaluation/side_by_side.html", context)
    return render(request, "tuning/evaluation/side_by_side.html", context | _shown(pair, request, None))


@require_safe
@require(Membership.Role.REVIEWER)
def pair(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """One pair: blind until the person has voted, with the names afterwards."""
    found = _found(project, pk)
    mine = found.votes.filter(voter=request.user).first()
    context = {"project": project, "left": preference_votes.open_to(project, request.user).count(), "only": None}
    return render(request, "tuning/evaluation/side_by_side.html", context | _shown(found, request, mine))


@require_POST
@require(Membership.Role.REVIEWER)
def vote(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = _found(project, pk)
    try:
        preference_votes.vote(found, request.user, request.POST.get("choice", ""))
    except (preference_votes.AlreadyVoted, preference_votes.BadVote) as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _("Your vote is in."))
    return redirect("tuning:pair", project.slug, pk)


def _found(project: Project, pk: int) -> ComparisonPair:
    rows = preference_votes.finished(project).select_related("query", "evaluation__champion", "evaluation__challenger")
    return get_object_or_404(rows, pk=pk)


def _shown(pair: ComparisonPair, request: MemberRequest, mine: Vote | None) -> dict[str, Any]:
    return {"pair": pair, "vote": mine, "sides": preference_votes.sides(pair, request.user, mine)}
