"""Admin of generators and releases."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from curation.admin.base import act_on_rows, acting_user
from curation.models import Generator, Release
from curation.releases import lifecycle
from retrieval.admin import ReadOnlyAdmin


@admin.register(Generator)
class GeneratorAdmin(ReadOnlyAdmin):
    list_display = ["name", "kind", "base_path", "adapter_path", "parent", "created_at"]
    list_filter = ["kind"]
    list_select_related = ["parent"]
    search_fields = ["name", "base_path"]


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ["project", "number", "state", "build", "generator", "fusion_weight", "reranker", "served_at"]
    list_filter = ["project", "state"]
    list_select_related = ["project", "build__corpus", "generator", "reranker"]
    search_fields = ["project__slug", "generator__name"]
    actions = ["promote", "decline"]

    @admin.action(description=gettext_lazy("Promote"), permissions=["promote"])
    def promote(self, request: HttpRequest, rows: QuerySet[Release]) -> None:
        user = acting_user(request)
        act_on_rows(self, request, rows.select_related("project"), lambda row: lifecycle.promote(row, user))

    @admin.action(description=gettext_lazy("Decline"), permissions=["promote"])
    def decline(self, request: HttpRequest, rows: QuerySet[Release]) -> None:
        user = acting_user(request)
        act_on_rows(self, request, rows, lambda row: lifecycle.decline(row, user))

    def has_promote_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("curation.change_release"))
