"""Admin of the audit log."""

from __future__ import annotations

from django.contrib import admin

from curation.admin.base import LargeReadOnlyAdmin
from curation.models import Event


@admin.register(Event)
class EventAdmin(LargeReadOnlyAdmin):
    list_display = ["at", "actor", "verb", "project", "query", "data"]
    list_filter = ["project", "verb"]
    list_select_related = ["actor", "project", "query"]
    search_fields = ["actor__username", "query__external_id"]
    ordering = ["-pk"]
