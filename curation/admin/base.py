"""Base classes and helpers of the admin pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from curation.core.errors import CurationError
from curation.models import Event
from retrieval.admin import ReadOnlyAdmin

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    _Paginator = Paginator[Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    _Paginator = Paginator

MAX_EVENTS = 100


class CappedPaginator(_Paginator):
    """Paginator that counts up to MAX_COUNT rows, because an exact count of a million rows is slow."""

    MAX_COUNT = 10_000

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by().values("pk")[: self.MAX_COUNT].count()


class LargeReadOnlyAdmin(ReadOnlyAdmin):
    """Read-only admin of a table that grows with the work."""

    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50


class ReadOnlyInline(TabularInline):
    """Rows of another table on the page of their parent, read-only."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


def acting_user(request: HttpRequest) -> User:
    """Return the signed-in user of an admin page."""
    assert isinstance(request.user, User)
    return request.user


def act_on_rows(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, rows: Iterable[Any], act: Callable[[Any], object]
) -> None:
    """Do an act on each row. Show how many succeeded, and the error of each row that failed."""
    done = 0
    for row in rows:
        try:
            act(row)
            done += 1
        except CurationError as error:
            model_admin.message_user(request, f"{row}: {error}", messages.WARNING)
    if done:
        model_admin.message_user(request, _("Done for %(n)d.") % {"n": done}, messages.SUCCESS)


def render_events(events: QuerySet[Event]) -> SafeString:
    """Return the newest events as HTML, up to MAX_EVENTS."""
    rows = events.select_related("actor").order_by("-pk")[:MAX_EVENTS]
    lines = ((event.at.strftime("%Y-%m-%d %H:%M:%S"), event.actor or "–", event.verb, event.data) for event in rows)
    return format_html_join("", "<div>{} · {} · {} · <code>{}</code></div>", lines)
