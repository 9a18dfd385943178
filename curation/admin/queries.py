"""Admin of queries, rankings and drafts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from curation.admin.base import (
    CappedPaginator,
    LargeReadOnlyAdmin,
    ModelAdmin,
    ReadOnlyInline,
    act_on_rows,
    acting_user,
    render_events,
)
from curation.models import Draft, Event, Query, Ranking, ShownPassage
from curation.projects import overlap
from curation.review import adjudication, gold


@admin.register(Query)
class QueryAdmin(ModelAdmin):
    list_display = ["external_id", "excerpt", "project", "state", "overlap", "is_evaluation", "asked_at", "settled_at"]
    list_filter = ["project", "state", "source", "is_evaluation", ("gold", admin.EmptyFieldListFilter)]
    list_select_related = ["project"]
    search_fields = ["external_id", "text"]
    autocomplete_fields = ["project"]
    fields = ["project", "external_id", "text", "source", "state", "overlap", "stratum", "metadata", "is_evaluation"]
    fields += ["disagreement", "gold", "asked_by", "asked_at", "settled_at", "history"]
    readonly_fields = ["project", "external_id", "text", "source", "state", "is_evaluation", "disagreement", "gold"]
    readonly_fields += ["asked_by", "asked_at", "settled_at", "history"]
    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50
    actions = ["reopen", "make_gold"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Query, form: forms.ModelForm[Any], change: bool) -> None:
        """Open or close slots of the query after its overlap was changed."""
        if "overlap" in form.changed_data:
            overlap.set_for_query(obj, obj.overlap, actor=acting_user(request))
        super().save_model(request, obj, form, change)

    @admin.display(description=gettext_lazy("text"))
    def excerpt(self, query: Query) -> str:
        return query.text[:80]

    @admin.display(description=gettext_lazy("history"))
    def history(self, query: Query) -> SafeString:
        return render_events(Event.objects.filter(query=query))

    @admin.action(description=gettext_lazy("Reopen for a reviewer"), permissions=["change"])
    def reopen(self, request: HttpRequest, rows: QuerySet[Query]) -> None:
        user = acting_user(request)
        act_on_rows(self, request, rows, lambda row: adjudication.reopen(row, user))

    @admin.action(description=gettext_lazy("Make a gold question"), permissions=["change"])
    def make_gold(self, request: HttpRequest, rows: QuerySet[Query]) -> None:
        user = acting_user(request)
        act_on_rows(self, request, rows, lambda row: gold.mark(row, user))


class ShownPassageInline(ReadOnlyInline):
    model = ShownPassage
    fields = readonly_fields = ("rank", "passage", "score", "added_by")


@admin.register(Ranking)
class RankingAdmin(LargeReadOnlyAdmin):
    list_display = ["query", "release", "build", "mode", "created_at"]
    list_filter = ["query__project", "mode"]
    list_select_related = ["query", "release__project", "build__corpus"]
    search_fields = ["query__external_id", "query__text"]
    inlines = [ShownPassageInline]


@admin.register(ShownPassage)
class ShownPassageAdmin(LargeReadOnlyAdmin):
    list_display = ["ranking", "rank", "passage", "score", "added_by"]
    list_select_related = ["ranking__query", "passage", "added_by"]
    search_fields = ["passage__external_id"]


@admin.register(Draft)
class DraftAdmin(LargeReadOnlyAdmin):
    list_display = ["ranking", "text", "generator", "seconds", "created_at"]
    list_filter = ["generator"]
    list_select_related = ["ranking__query", "generator"]
    search_fields = ["text"]
