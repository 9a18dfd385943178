"""Pages: two releases on one query, blind."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Membership, Project
from tuning import voting
from tuning.models import Pair, Vote


@require_safe
@require(Membership.Role.REVIEWER)
def side_by_side(request: MemberRequest, project: Project) -> HttpResponse:
    """The next pair this person has not voted on; `?release=` keeps to one challenger."""
    wanted = request.GET.get("release", "")
    release = int(wanted) if wanted.isdecimal() and len(wanted) < 10 else None
    left = voting.open_to(project, request.user, release)
    pair = left.select_related("query", "evaluation__champion", "evaluation__challenger").first()
    context = {"project": project, "left": left.count(), "only": release}
    if pair is None:
        return render(request, "tuning/side_by_side.html", context)
    return render(request, "tuning/side_by_side.html", context | _shown(pair, request, None))


@require_safe
@require(Membership.Role.REVIEWER)
def pair(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    """One pair: blind until the person has voted, with the names afterwards."""
    found = _found(project, pk)
    mine = found.votes.filter(voter=request.user).first()
    context = {"project": project, "left": voting.open_to(project, request.user).count(), "only": None}
    return render(request, "tuning/side_by_side.html", context | _shown(found, request, mine))


@require_POST
@require(Membership.Role.REVIEWER)
def vote(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = _found(project, pk)
    try:
        voting.vote(found, request.user, request.POST.get("choice", ""))
    except (voting.AlreadyVoted, voting.BadVote) as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, _("Your vote is in."))
    return redirect("tuning:pair", project.slug, pk)


def _found(project: Project, pk: int) -> Pair:
    rows = voting.finished(project).select_related("query", "evaluation__champion", "evaluation__challenger")
    return get_object_or_404(rows, pk=pk)


def _shown(pair: Pair, request: MemberRequest, mine: Vote | None) -> dict[str, Any]:
    return {"pair": pair, "vote": mine, "sides": voting.sides(pair, request.user, mine)}
