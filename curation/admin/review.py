"""Admin of reviews, settled grades and suggested grades."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from curation.admin.base import LargeReadOnlyAdmin, ReadOnlyInline, acting_user
from curation.core import labels
from curation.models import Project, Review, SettledGrade, SuggestedGrade
from curation.propagation import suggestion_review


class SettledGradeInline(ReadOnlyInline):
    model = SettledGrade
    fields = readonly_fields = ("passage", "grade", "judges", "reliability", "method")


@admin.register(Review)
class ReviewAdmin(LargeReadOnlyAdmin):
    list_display = ["query", "state", "reason", "reviewer", "is_unanswerable", "created_at", "decided_at"]
    list_filter = ["state", "query__project", "is_unanswerable"]
    list_select_related = ["query", "reviewer"]
    search_fields = ["query__external_id", "query__text", "reviewer__username"]
    inlines = [SettledGradeInline]

    @admin.display(description=gettext_lazy("reason"))
    def reason(self, review: Review) -> str:
        return labels.describe_reason(review)


@admin.register(SettledGrade)
class SettledGradeAdmin(LargeReadOnlyAdmin):
    list_display = ["review", "passage", "grade", "judges", "reliability", "method"]
    list_filter = ["method"]
    list_select_related = ["review__query", "passage"]
    search_fields = ["passage__external_id"]


@admin.register(SuggestedGrade)
class SuggestedGradeAdmin(LargeReadOnlyAdmin):
    list_display = ["query", "passage", "grade", "kind", "similarity", "state", "decided_by", "decided_at"]
    list_filter = ["state", "kind", "project"]
    list_select_related = ["query", "passage", "decided_by"]
    search_fields = ["query__external_id", "query__text", "passage__external_id"]
    actions = ["confirm", "reject"]

    @admin.action(description=gettext_lazy("Confirm"), permissions=["decide"])
    def confirm(self, request: HttpRequest, rows: QuerySet[SuggestedGrade]) -> None:
        self._decide(request, rows, suggestion_review.confirm)

    @admin.action(description=gettext_lazy("Reject"), permissions=["decide"])
    def reject(self, request: HttpRequest, rows: QuerySet[SuggestedGrade]) -> None:
        self._decide(request, rows, suggestion_review.reject)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("curation.change_suggestedgrade"))

    def _decide(
        self, request: HttpRequest, rows: QuerySet[SuggestedGrade], act: Callable[..., suggestion_review.Decided]
    ) -> None:
        ids = list(rows.values_list("project", "pk"))
        user, done = acting_user(request), 0
        for project in Project.objects.filter(pk__in={project_id for project_id, _pk in ids}):
            done += act(project, [pk for project_id, pk in ids if project_id == project.pk], user).done
        self.message_user(request, _("Done for %(n)d.") % {"n": done}, messages.SUCCESS)
