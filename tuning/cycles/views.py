"""Pages of the training cycles and of the policy that starts them."""

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
from curation.core.permissions import role_required
from curation.models import Membership, Project
from tuning.cycles import cycle_schedule, policies, training_cycle
from tuning.cycles.forms import PolicyForm, StartForm
from tuning.datasets import collect
from tuning.models import Cycle, Policy, Run, Split
from tuning.training import training_runs

PER_PAGE = 20


@require_safe
@vary_on_headers("HX-Request")
@role_required(Membership.Role.ENGINEER)
def cycles(request: MemberRequest, project: Project) -> HttpResponse:
    return _cycles_page(request, project, StartForm())


@require_POST
@role_required(Membership.Role.ENGINEER)
def start(request: MemberRequest, project: Project) -> HttpResponse:
    form = StartForm(request.POST)
    if form.is_valid():
        try:
            cycle = training_cycle.start(project, **form.start_arguments())
        except training_cycle.CycleInProgress as error:
            form.add_error(None, str(error))
        else:
            enqueue("tuning.tasks.advance", cycle.pk)
            return redirect("tuning:cycle", project.slug, cycle.pk)
    return _cycles_page(request, project, form, status=422)


@require_safe
@vary_on_headers("HX-Request")
@role_required(Membership.Role.ENGINEER)
def cycle(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    row = get_object_or_404(_cycles(project), pk=pk)
    template = "tuning/cycles/cycle.html#cycle" if request.htmx else "tuning/cycles/cycle.html"
    return render(request, template, {"project": project, **_cycle_context(row)})


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Membership.Role.ENGINEER)
def cancel(request: MemberRequest, project: Project, pk: int) -> HttpResponse:
    row = get_object_or_404(_cycles(project), pk=pk)
    if request.method == "POST":
        if training_cycle.cancel(row, reason=message("cancelled_by", person=request.user.get_username())):
            messages.success(request, _("The cycle is being stopped."))
        else:
            messages.warning(request, _("The cycle had already ended."))
        return redirect("tuning:cycle", project.slug, pk)
    return render(request, "tuning/cycles/cancel.html", {"project": project, "cycle": row})


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Membership.Role.MANAGER)
def policy(request: MemberRequest, project: Project) -> HttpResponse:
    form = PolicyForm(request.POST or None, instance=Policy.of(project))
    if request.method == "POST" and form.is_valid():
        policies.change_policy(project, form.cleaned_data, actor=request.user)
        messages.success(request, _("Saved."))
        return redirect("tuning:policy", project.slug)
    status = 422 if request.method == "POST" else 200
    return render(request, "tuning/cycles/policy.html", {"project": project, "form": form}, status=status)


def _cycles_page(request: MemberRequest, project: Project, form: StartForm, status: int = 200) -> HttpResponse:
    page = Paginator(_cycles(project), PER_PAGE).get_page(request.GET.get("page"))
    current = next((row for row in page if row.is_live), None) if page.number == 1 else None
    row = Policy.objects.filter(project=project).first()
    last = project.cycles.exclude(state=JobState.CANCELLED).first()
    settled = project.queries.settled().count()
    context = {
        "project": project,
        "page": page,
        "form": form,
        "policy": row,
        "new_queries": cycle_schedule.count_new_queries(row or Policy(project=project), last),
        "can_start": settled >= collect.MIN_QUERIES and project.has_live_release,
        "settled": settled,
        "least": collect.MIN_QUERIES,
        **(_cycle_context(current) if current else {"cycle": None}),
    }
    return render(request, "tuning/cycles/cycles.html", context, status=status)


def _cycles(project: Project) -> Any:
    rows = project.cycles.select_related("project", "dataset", "challenger", "evaluation__decision")
    return rows.prefetch_related(Prefetch("runs", Run.objects.order_by("-component"))).order_by("-pk")


def _cycle_context(cycle: Cycle) -> dict[str, Any]:
    """Return what a page that follows a cycle shows."""
    evaluation = getattr(cycle, "evaluation", None)
    counts = cycle.dataset.counts if cycle.dataset else {}
    return {
        "cycle": cycle,
        "is_live": cycle.is_live,
        "steps": _steps(cycle),
        "splits": [(Split(name).label, figures) for name, figures in counts.items() if name in Split.values],
        "evaluation": evaluation,
        "decision": getattr(evaluation, "decision", None),
    }


def _steps(cycle: Cycle) -> list[tuple[str, str]]:
    """Return (label, CSS class) of each step. The reranker's step is shown only if the settings ask for one."""
    values = Cycle.Step.values
    current = values.index(cycle.step) if cycle.state != JobState.DONE else len(values)
    return [
        (str(step.label), "is-done" if index < current else "is-now" if index == current else "")
        for index, step in enumerate(Cycle.Step)
        if step != Cycle.Step.RERANK or training_runs.is_reranker_enabled(cycle.settings)
    ]
