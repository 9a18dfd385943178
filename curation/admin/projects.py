"""Admin of projects, guidelines, members and preferences."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from curation.admin.base import ModelAdmin, TabularInline, acting_user
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.models import Guidelines, Judgement, Membership, Preferences, Project
from curation.projects import members, project_settings
from curation.projects.forms import ProjectForm

LOGGED_FIELDS = {*ProjectForm.Meta.fields, "grades"}


class MembershipInline(TabularInline):
    model = Membership
    fields = ["user", "role", "daily_quota", "is_paused"]
    autocomplete_fields = ["user"]
    extra = 0


@admin.register(Project)
class ProjectAdmin(ModelAdmin):
    list_display = ["slug", "name", "corpus", "overlap", "review_gap", "random_share", "gold_rate", "created_at"]
    list_select_related = ["corpus"]
    search_fields = ["slug", "name"]
    autocomplete_fields = ["corpus"]
    inlines = [MembershipInline]

    def save_model(self, request: HttpRequest, obj: Project, form: forms.ModelForm[Any], change: bool) -> None:
        """Change the settings like the settings page: with an event of the audit log, and new slots."""
        if change:
            values = {name: form.cleaned_data[name] for name in form.changed_data if name in LOGGED_FIELDS}
            project_settings.change(obj, values, actor=acting_user(request))
        super().save_model(request, obj, form, change)

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> list[str]:
        """Lock the grades after the first judgement: other labels would change what it means."""
        is_judged = obj is not None and Judgement.objects.filter(query__project=obj).exists()
        return ["grades"] if is_judged else []


@admin.register(Guidelines)
class GuidelinesAdmin(ModelAdmin):
    list_display = ["project", "version", "created_at"]
    list_filter = ["project"]
    list_select_related = ["project"]
    autocomplete_fields = ["project"]
    fields = ["project", "text"]

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Guidelines, form: forms.ModelForm[Any], change: bool) -> None:
        last = Guidelines.objects.filter(project=obj.project).aggregate(last=Max("version"))["last"] or 0
        obj.version = last + 1
        super().save_model(request, obj, form, change)
        data = {"version": obj.version}
        audit_log.record("guidelines_written", project=obj.project_id, actor=acting_user(request), data=data)


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    list_display = ["user", "project", "role", "daily_quota", "is_paused", "claims", "random_claims"]
    list_filter = ["project", "role", "is_paused"]
    list_select_related = ["user", "project"]
    list_editable = ["role", "daily_quota", "is_paused"]
    search_fields = ["user__username", "project__slug"]
    autocomplete_fields = ["user", "project"]
    readonly_fields = ["claims", "random_claims"]
    actions = ["pause", "resume"]

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        return [*self.readonly_fields, *(["user", "project"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: Membership, form: forms.ModelForm[Any], change: bool) -> None:
        """Add or change the member by the rules of the members page, with an event of the audit log."""
        if change:
            self._change(request, obj, obj.role, obj.daily_quota, obj.is_paused)
            return
        user = acting_user(request)
        membership = members.add(obj.project, obj.user, obj.role, daily_quota=obj.daily_quota, actor=user)
        obj.pk = membership.pk
        self._change(request, membership, obj.role, obj.daily_quota, obj.is_paused)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        self.delete_queryset(request, Membership.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        for row in queryset.order_by("pk"):
            try:
                members.remove(row, actor=acting_user(request))
            except CurationError as error:
                self.message_user(request, str(error), messages.ERROR)

    @admin.action(description=gettext_lazy("Pause"))
    def pause(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        for row in rows:
            self._change(request, row, row.role, row.daily_quota, True)

    @admin.action(description=gettext_lazy("Resume"))
    def resume(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        for row in rows:
            self._change(request, row, row.role, row.daily_quota, False)

    def _change(self, request: HttpRequest, row: Membership, role: str, quota: int, is_paused: bool) -> None:
        try:
            members.change(row, role, quota, is_paused, actor=acting_user(request))
        except CurationError as error:
            self.message_user(request, str(error), messages.ERROR)


@admin.register(Preferences)
class PreferencesAdmin(ModelAdmin):
    list_display = ["user", "mark_words"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    autocomplete_fields = ["user"]
