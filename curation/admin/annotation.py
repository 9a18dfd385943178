"""Admin of assignments, judgements and answers."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.admin.base import LargeReadOnlyAdmin, act_on_rows, acting_user, render_events
from curation.annotation import claims, leases
from curation.models import Answer, Assignment, Event, Judgement


class ReassignForm(ActionForm):
    person = forms.ModelChoiceField(
        get_user_model().objects.order_by("username"), required=False, label=gettext_lazy("Reassign to")
    )


@admin.register(Assignment)
class AssignmentAdmin(LargeReadOnlyAdmin):
    list_display = ["query", "project", "slot", "state", "curator", "selection", "is_extra", "lease_until"]
    list_display += ["submitted_at"]
    list_filter = ["project", "state", "selection", "is_extra", "is_re_annotation", "is_flagged"]
    list_select_related = ["query", "project", "curator"]
    search_fields = ["query__external_id", "query__text", "curator__username"]
    action_form = ReassignForm
    actions = ["release_lease", "skip", "reassign"]

    @admin.action(description=gettext_lazy("End the reservation"), permissions=["manage"])
    def release_lease(self, request: HttpRequest, rows: QuerySet[Assignment]) -> None:
        user = acting_user(request)
        act_on_rows(self, request, rows, lambda row: leases.end(row, user))

    @admin.action(description=gettext_lazy("Release"), permissions=["manage"])
    def skip(self, request: HttpRequest, rows: QuerySet[Assignment]) -> None:
        user = acting_user(request)
        act_on_rows(self, request, rows, lambda row: claims.skip(row, actor=user))

    @admin.action(description=gettext_lazy("Reassign to the chosen person"), permissions=["manage"])
    def reassign(self, request: HttpRequest, rows: QuerySet[Assignment]) -> None:
        user = acting_user(request)
        person = get_user_model().objects.filter(pk=request.POST.get("person") or 0).first()
        if person is None:
            self.message_user(request, _("Choose a person first."), messages.WARNING)
            return
        act_on_rows(self, request, rows, lambda row: claims.reassign(row, person, user))

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("curation.change_assignment"))


@admin.register(Judgement)
class JudgementAdmin(LargeReadOnlyAdmin):
    list_display = ["query", "passage", "curator", "grade", "changed_at", "withdrawn_at"]
    list_filter = ["grade", ("withdrawn_at", admin.EmptyFieldListFilter), "query__project"]
    list_select_related = ["query", "passage", "curator"]
    search_fields = ["query__external_id", "passage__external_id", "curator__username"]
    readonly_fields = ["history"]

    @admin.display(description=gettext_lazy("history"))
    def history(self, judgement: Judgement) -> SafeString:
        return render_events(Event.objects.filter(assignment=judgement.assignment_id, passage=judgement.passage_id))


@admin.register(Answer)
class AnswerAdmin(LargeReadOnlyAdmin):
    list_display = ["query", "curator", "text", "changed_at"]
    list_filter = ["query__project"]
    list_select_related = ["query", "curator"]
    search_fields = ["query__external_id", "text", "curator__username"]
