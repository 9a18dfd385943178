"""Pages: the record of a project, who did what when; newest first, read only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from curation.core.audit_log import gathered
from curation.core.forms import FORMS, RecordForm
from curation.core.permissions import require
from curation.models import Event, Membership, Project

PER_PAGE = 50
LONGEST = 60


@require_safe
@require(Membership.Role.MANAGER)
def audit_log(request: HttpRequest, project: Project) -> HttpResponse:
    """Pages go by the last line seen: a record of millions is never counted.

    A line says that a passage was graded and not how: who reads it may have to judge the same query, blind.
    """
    form = RecordForm(request.GET, project=project)
    wanted = form.cleaned_data if form.is_valid() else {}
    rows = Event.objects.filter(project=project).select_related("actor", "query").order_by("-at", "-pk")
    if wanted.get("person"):
        rows = rows.filter(actor=wanted["person"])
    if wanted.get("verb"):
        rows = rows.filter(verb=wanted["verb"])
    last = Event.objects.filter(project=project, pk=wanted.get("before") or 0).first()
    if last is not None:
        rows = rows.filter(Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk))
    found = list(rows[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    context = {
        "project": project,
        "form": form,
        "lines": _lines(shown),
        "wanted": {name: request.GET[name] for name in ("person", "verb") if wanted.get(name)},
        "older": shown[-1].pk if len(found) > PER_PAGE else None,
    }
    return render(request, "curation/core/audit_log.html", context)


def _lines(events: Sequence[Event]) -> list[tuple[Event, int, list[str]]]:
    """Each event with what it changed, where it is of the project itself or of its people."""
    ids = [event.data["user"] for event in events if "user" in event.data]
    names = dict(get_user_model().objects.filter(pk__in=ids).values_list("pk", "username"))
    return [(event, times, _details(event, names)) for event, times in gathered(events)]


def _details(event: Event, names: dict[int, str]) -> list[str]:
    data = event.data
    if event.verb == "overlap_changed":
        return [_arrow(data["was"], data["now"])]
    if event.verb in FORMS:
        fields = FORMS[event.verb].base_fields
        changes = [_change(fields.get(name), name, was, data["now"][name]) for name, was in data["was"].items()]
        return [data["guard"], *changes] if "guard" in data else changes
    if "guard" in data:
        return [data["guard"]]
    if "user" in data:
        changed = [
            _arrow(was, data["now"][name]) for name, was in data.get("was", {}).items() if was != data["now"][name]
        ]
        return [names.get(data["user"], "?"), *changed]
    return []


def _change(field: Any, name: str, was: Any, now: Any) -> str:
    """What a field is called, with what was and what is where both are short."""
    label = str(getattr(field, "label", None) or name)
    if not _is_short(was, now):
        return label
    choices = dict(getattr(field, "choices", ()))
    before, after = (choices.get(value, value) for value in (was, now))
    return f"{label}: {_arrow(before, after)}"


def _is_short(*values: Any) -> bool:
    return all(isinstance(value, (str, int, float)) and len(str(value)) <= LONGEST for value in values)


def _arrow(was: object, now: object) -> str:
    return f"{_said(was)} → {_said(now)}"


def _said(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in (None, "") else str(value)
