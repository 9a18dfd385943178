"""Pages: cycles and runs, and when the loop turns by itself."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from common.jobs import JobState, enqueue
from common.messages import message
from curation.core.http import MemberRequest
from curation.core.permissions import require
from curation.models import Membership, Project
from tuning import tasks
from tuning.cycles import cycle_schedule, policies, training_cycle
from tuning.cycles.forms import PolicyForm, StartForm
from tuning.datasets import collect
from tuning.models import Cycle, Policy, Run, Split

PER_PAGE = 20


@require_safe
@vary_on_headers("HX-Request")
@require(Membership.Role.ENGINEER)
def cycles(request: MemberRequest, project: Project) -> HttpResponse:
    return _cycles_page(request, project, StartForm())


@require_POST
@require(Membership.Role.ENGINEER)
def start(request: MemberRequest, project: Project) -> HttpResponse:
    form = StartForm(request.POST)
    if form.is_valid():
        try:
            cycle = training_cycle.start(project, **form.wanted())
        except training_cycle.CycleInProgress as error:
            form.add_error(None, str(error))
        else:
            enqueue(tasks.advance, cycle.pk)
            return redirect("tuning:cycle", project.slug, cycle.pk)
    return _cycles_page(request, project, form, status=422)


@require_safe
@vary_on_headers("HX-Request")
@require(Membership.Role.ENGINEER)
def cycle(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = get_object_or_404(_cycles(project), pk=pk)
    template = "tuning/cycles/cycle.html#cycle" if request.htmx else "tuning/cycles/cycle.html"
    return render(request, template, {"project": project, **_watched(found)})


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.ENGINEER)
def cancel(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    found = get_object_or_404(_cycles(project), pk=pk)
    if request.method == "POST":
        if training_cycle.cancel(found, reason=message("cancelled_by", person=request.user.get_username())):
            messages.success(request, _("The cycle is being stopped."))
        else:
            messages.warning(request, _("The cycle had already ended."))
        return redirect("tuning:cycle", project.slug, pk)
    return render(request, "tuning/cycles/cancel.html", {"project": project, "cycle": found})


@require_http_methods(["GET", "HEAD", "POST"])
@require(Membership.Role.MANAGER)
def policy(request: MemberRequest, project: Project) -> HttpResponse:
    held = Policy.of(project)
    form = PolicyForm(request.POST or None, instance=held)
    if request.method == "POST" and form.is_valid():
        policies.change_policy(project, form.cleaned_data, actor=request.user)
        messages.success(request, _("Saved."))
        return redirect("tuning:policy", project.slug)
    status = 422 if request.method == "POST" else 200
    return render(request, "tuning/cycles/policy.html", {"project": project, "form": form}, status=status)


def _cycles_page(request: MemberRequest, project: Project, form: StartForm, status: int = 200) -> HttpResponse:
    page = Paginator(_cycles(project), PER_PAGE).get_page(request.GET.get("page"))
    current = next((row for row in page if row.is_live), None) if page.number == 1 else None
    held = Policy.objects.filter(project=project).first()
    last = project.cycles.exclude(state=JobState.CANCELLED).first()
    settled = project.queries.settled().count()
    context = {
        "project": project,
        "page": page,
        "form": form,
        "policy": held,
        "new_queries": cycle_schedule.new_queries(held or Policy(project=project), last),
        "can_start": settled >= collect.LEAST_QUERIES and project.serves,
        "settled": settled,
        "least": collect.LEAST_QUERIES,
        **(_watched(current) if current else {"cycle": None}),
    }
    return render(request, "tuning/cycles/cycles.html", context, status=status)


def _cycles(project: Project) -> Any:
    parts = project.cycles.select_related("project", "dataset", "challenger", "evaluation__decision")
    return parts.prefetch_related(Prefetch("runs", Run.objects.order_by("-component"))).order_by("-pk")


def _watched(cycle: Cycle) -> dict[str, Any]:
    """What a page that follows a cycle shows."""
    steps = Cycle.Step.values
    at = steps.index(cycle.step) if cycle.state != JobState.DONE else len(steps)
    evaluation = getattr(cycle, "evaluation", None)
    counts = cycle.dataset.counts if cycle.dataset else {}
    return {
        "cycle": cycle,
        "is_live": cycle.is_live,
        "steps": [
            (label, "is-done" if place < at else "is-now" if place == at else "")
            for place, label in enumerate(Cycle.Step.labels)
        ],
        "splits": [(Split(name).label, found) for name, found in counts.items() if name in Split.values],
        "evaluation": evaluation,
        "decision": getattr(evaluation, "decision", None),
    }
