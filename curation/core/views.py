"""Page of a project's audit log, newest event first, read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from common.renamed_keys import with_current_keys
from curation.core.audit_log import merge_grades
from curation.core.forms import FORMS_BY_VERB, AuditLogForm
from curation.core.permissions import role_required
from curation.models import Event, Membership, Project

PER_PAGE = 50
MAX_VALUE_CHARS = 60

# Event verb → kind of its data in common.renamed_keys: events of earlier versions name fields by their old names.
RENAMED_KINDS = {"settings_changed": "project", "policy_changed": "policy", "guard_changed": "policy"}


@require_safe
@role_required(Membership.Role.MANAGER)
def audit_log(request: HttpRequest, project: Project) -> HttpResponse:
    """List the events. Pages continue after the last event shown, because a log of millions is slow to count.

    A line does not tell the grade that was given: the reader may have to judge the same query, blind.
    """
    form = AuditLogForm(request.GET, project=project)
    filters = form.cleaned_data if form.is_valid() else {}
    rows = Event.objects.filter(project=project).select_related("actor", "query").order_by("-at", "-pk")
    if filters.get("person"):
        rows = rows.filter(actor=filters["person"])
    if filters.get("verb"):
        rows = rows.filter(verb=filters["verb"])
    last = Event.objects.filter(project=project, pk=filters.get("before") or 0).first()
    if last is not None:
        rows = rows.filter(Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk))
    events = list(rows[: PER_PAGE + 1])
    shown = events[:PER_PAGE]
    context = {
        "project": project,
        "form": form,
        "lines": _lines(shown),
        "filters": {name: request.GET[name] for name in ("person", "verb") if filters.get(name)},
        "older": shown[-1].pk if len(events) > PER_PAGE else None,
    }
    return render(request, "curation/core/audit_log.html", context)


def _lines(events: Sequence[Event]) -> list[tuple[Event, int, list[str]]]:
    """Return (event, count, details): details of events that changed the project, its policy or its members."""
    ids = [event.data["user"] for event in events if "user" in event.data]
    names = dict(get_user_model().objects.filter(pk__in=ids).values_list("pk", "username"))
    return [(event, count, _details(event, names)) for event, count in merge_grades(events)]


def _details(event: Event, names: Mapping[int, str]) -> list[str]:
    data = event.data
    if event.verb == "overlap_changed":
        return [_arrow(data["was"], data["now"])]
    if event.verb in FORMS_BY_VERB:
        changes = _changed_fields(event.verb, data)
        return [data["guard"], *changes] if "guard" in data else changes
    if "guard" in data:
        return [data["guard"]]
    if "user" in data:
        was, now = data.get("was", {}), data.get("now", {})
        changes = [_arrow(value, now[name]) for name, value in was.items() if value != now[name]]
        return [names.get(data["user"], "?"), *changes]
    return []


def _changed_fields(verb: str, data: Mapping[str, Any]) -> list[str]:
    """Return one text per field that the event changed, under the labels that the fields have now."""
    was, now = data["was"], data["now"]
    if verb in RENAMED_KINDS:
        was, now = (with_current_keys(RENAMED_KINDS[verb], values) for values in (was, now))
    form: Any = FORMS_BY_VERB[verb]
    fields = form.base_fields
    return [_change(fields.get(name), name, value, now[name]) for name, value in was.items()]


def _change(field: forms.Field | None, name: str, was: Any, now: Any) -> str:
    """Return the field's label, with both values where they are short."""
    label = str(getattr(field, "label", None) or name)
    if not _is_short(was, now):
        return label
    choices = dict(getattr(field, "choices", ()))
    before, after = (choices.get(value, value) for value in (was, now))
    return f"{label}: {_arrow(before, after)}"


def _is_short(*values: Any) -> bool:
    return all(isinstance(value, (str, int, float)) and len(str(value)) <= MAX_VALUE_CHARS for value in values)


def _arrow(was: object, now: object) -> str:
    return f"{_value_text(was)} → {_value_text(now)}"


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in (None, "") else str(value)
