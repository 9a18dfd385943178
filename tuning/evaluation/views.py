"""Pages of the evaluation: guardrail sets, and the blind comparison of two releases."""

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
from curation.core.permissions import has_role, role_required
from curation.models import Membership, Project
from tuning.evaluation import guardrail_files, preference_votes
from tuning.evaluation import guardrails as guardrail_sets
from tuning.evaluation.forms import GuardrailSetForm, NewGuardrailSetForm
from tuning.models import ComparisonPair, GuardrailSet, Vote


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Membership.Role.MANAGER)
def guardrails(request: MemberRequest, project: Project) -> HttpResponse:
    """The project's guardrail sets; a post adds one."""
    form = NewGuardrailSetForm(request.POST or None, request.FILES or None, sources=_sources(request, project))
    if request.method != "POST":
        return render(request, "tuning/evaluation/guardrails.html", _guardrails_context(project, form))
    if form.is_valid():
        try:
            added = _add_set(project, form.cleaned_data, request.user)
        except BadInput as error:
            place = f"{Path(error.path).name}:{error.line}" if error.line else Path(error.path).name
            form.add_error(None, f"{place}: {error.message}")
        except guardrail_sets.GuardrailError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("Guardrail set %(name)s added.") % {"name": added.name})
            return redirect("tuning:guardrails", project.slug)
    return render(request, "tuning/evaluation/guardrails.html", _guardrails_context(project, form), status=422)


@require_POST
@role_required(Membership.Role.MANAGER)
def change_guardrail_set(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    guardrail_set = get_object_or_404(project.guardrail_sets, pk=pk)
    form = GuardrailSetForm(request.POST, instance=guardrail_set)
    if form.is_valid():
        guardrail_sets.change_set(guardrail_set, form.cleaned_data, actor=request.user)
        messages.success(request, _("Saved."))
        return redirect("tuning:guardrails", project.slug)
    new = NewGuardrailSetForm(sources=_sources(request, project))
    context = _guardrails_context(project, new, invalid=form)
    return render(request, "tuning/evaluation/guardrails.html", context, status=422)


def _add_set(project: Project, data: dict[str, Any], actor: User) -> GuardrailSet:
    if data["source"]:
        return guardrail_sets.create_from_project(project, data["source"], data["name"], data["margin"], actor=actor)
    with tempfile.TemporaryDirectory() as folder:
        for name in guardrail_files.FILES:
            upload = data[name.partition(".")[0]]
            if upload:
                with (Path(folder) / name).open("wb") as file:
                    file.writelines(upload.chunks())
        return guardrail_sets.create_from_folder(project, Path(folder), data["name"], data["margin"], actor=actor)


def _sources(request: MemberRequest, project: Project) -> list[Project]:
    """Return the other projects in which the person may read everything."""
    visible = Project.objects.visible_to(request.user).exclude(pk=project.pk)
    return [other for other in visible if has_role(request.user, other, Membership.Role.ENGINEER)]


def _guardrails_context(
    project: Project, form: NewGuardrailSetForm, invalid: GuardrailSetForm | None = None
) -> dict[str, Any]:
    """Return the page's context. invalid: the form that was sent with errors, in the place of its set's form."""
    forms = [GuardrailSetForm(instance=row, prefix=None) for row in guardrail_sets.list_sets(project)]
    if invalid is not None:
        forms = [invalid if form.instance.pk == invalid.instance.pk else form for form in forms]
    for set_form in forms:
        set_form.auto_id = f"guard-{set_form.instance.pk}-%s"
    return {"project": project, "form": form, "forms": forms}


@require_safe
@role_required(Membership.Role.REVIEWER)
def side_by_side(request: MemberRequest, project: Project) -> HttpResponse:
    """The next pair that the person has not voted on; `?release=` selects one challenger."""
    number = request.GET.get("release", "")
    release = int(number) if number.isdecimal() and len(number) < 10 else None
    unvoted = preference_votes.unvoted_pairs(project, request.user, release)
    pair = unvoted.select_related("query", "evaluation__champion", "evaluation__challenger").first()
    context = {"project": project, "left": unvoted.count(), "only": release}
    if pair is None:
        return render(request, "tuning/evaluation/side_by_side.html", context)
    return render(request, "tuning/evaluation/side_by_side.html", context | _pair_context(pair, request, None))


@require_safe
@role_required(Membership.Role.REVIEWER)
def pair(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """One pair: blind until the person has voted, with the releases afterwards."""
    row = _pair(project, pk)
    own_vote = row.votes.filter(voter=request.user).first()
    context = {"project": project, "left": preference_votes.unvoted_pairs(project, request.user).count(), "only": None}
    return render(request, "tuning/evaluation/side_by_side.html", context | _pair_context(row, request, own_vote))


@require_POST
@role_required(Membership.Role.REVIEWER)
def vote(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    row = _pair(project, pk)
    try:
        preference_votes.cast_vote(row, request.user, request.POST.get("choice", ""))
    except (preference_votes.AlreadyVoted, preference_votes.BadVote) as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _("Vote saved."))
    return redirect("tuning:pair", project.slug, pk)


def _pair(project: Project, pk: int) -> ComparisonPair:
    rows = preference_votes.finished_pairs(project).select_related(
        "query", "evaluation__champion", "evaluation__challenger"
    )
    return get_object_or_404(rows, pk=pk)


def _pair_context(row: ComparisonPair, request: MemberRequest, own_vote: Vote | None) -> dict[str, Any]:
    return {"pair": row, "vote": own_vote, "sides": preference_votes.sides_for(row, request.user, own_vote)}
