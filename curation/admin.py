"""Curation in the admin. What acts write is read here and changed by the same acts, as actions; settings are edited."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Max, Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from common.jobs import enqueue
from curation import tasks
from curation.annotation import assignments
from curation.core import audit_log, labels
from curation.core.errors import CurationError
from curation.models import (
    Answer,
    Assignment,
    Draft,
    Event,
    Generator,
    Guidelines,
    Judgement,
    Membership,
    Preferences,
    Project,
    Query,
    Ranking,
    Release,
    Review,
    SettledGrade,
    ShownPassage,
    SuggestedGrade,
)
from curation.projects import members, project_settings
from curation.projects.forms import ProjectForm
from curation.propagation import suggestion_review
from curation.releases import lifecycle
from curation.review import consensus
from retrieval.admin import ReadOnlyAdmin

HISTORY = 100
RECORDED = {*ProjectForm.Meta.fields, "grades"}  # what a project's record keeps of its settings


class CappedPaginator(Paginator):
    """Counts no further than MOST rows: an exact count of a million rows takes longer than the page is worth."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by().values("pk")[: self.MOST].count()


class BigReadOnlyAdmin(ReadOnlyAdmin):
    """A table that grows with the work."""

    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50


def act_on(
    model_admin: admin.ModelAdmin, request: HttpRequest, rows: Iterable[Any], act: Callable[[Any], object]
) -> None:
    """Do an act on each row, and say how many it was and what stood in the way of the others."""
    done = 0
    for row in rows:
        try:
            act(row)
            done += 1
        except CurationError as error:
            model_admin.message_user(request, f"{row}: {error}", messages.WARNING)
    if done:
        model_admin.message_user(request, _("Done for %(n)d.") % {"n": done}, messages.SUCCESS)


def history_of(events: QuerySet[Event]) -> SafeString:
    """The newest lines of the record about something, as a list."""
    rows = events.select_related("actor").order_by("-pk")[:HISTORY]
    lines = ((event.at.strftime("%Y-%m-%d %H:%M:%S"), event.actor or "–", event.verb, event.data) for event in rows)
    return format_html_join("", "<div>{} · {} · {} · <code>{}</code></div>", lines)


class MembershipInline(admin.TabularInline):
    model = Membership
    fields = ["user", "role", "daily_quota", "is_paused"]
    autocomplete_fields = ["user"]
    extra = 0


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = ["slug", "name", "corpus", "overlap", "review_gap", "random_share", "gold_rate", "created_at"]
    list_select_related = ["corpus"]
    search_fields = ["slug", "name"]
    autocomplete_fields = ["corpus"]
    inlines = [MembershipInline]

    def save_model(self, request: HttpRequest, obj: Project, form: forms.ModelForm, change: bool) -> None:
        """What the settings page can change is a line of the record here too, and the slots follow."""
        if change:
            kept = {name: form.cleaned_data[name] for name in form.changed_data if name in RECORDED}
            project_settings.change(obj, kept, actor=request.user)
        super().save_model(request, obj, form, change)
        enqueue(tasks.follow_overlap, obj.pk)

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> list[str]:
        """The grades are locked once judged: other words would change what people meant."""
        is_judged = obj is not None and Judgement.objects.filter(query__project=obj).exists()
        return ["grades"] if is_judged else []


@admin.register(Guidelines)
class GuidelinesAdmin(admin.ModelAdmin):
    list_display = ["project", "version", "created_at"]
    list_filter = ["project"]
    list_select_related = ["project"]
    autocomplete_fields = ["project"]
    fields = ["project", "text"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Guidelines, form: forms.ModelForm, change: bool) -> None:
        last = Guidelines.objects.filter(project=obj.project).aggregate(last=Max("version"))["last"] or 0
        obj.version = last + 1
        super().save_model(request, obj, form, change)
        data = {"version": obj.version}
        audit_log.note("guidelines_written", project=obj.project_id, actor=request.user, data=data)


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
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

    def save_model(self, request: HttpRequest, obj: Membership, form: forms.ModelForm, change: bool) -> None:
        """By the rules of the people's page, and into the record like there."""
        if change:
            self._change(request, obj, obj.role, obj.daily_quota, obj.is_paused)
            return
        found = members.admit(obj.project, obj.user, obj.role, daily_quota=obj.daily_quota, actor=request.user)
        obj.pk = found.pk
        self._change(request, found, obj.role, obj.daily_quota, obj.is_paused)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        self.delete_queryset(request, Membership.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        for row in queryset.order_by("pk"):
            try:
                members.dismiss(row, actor=request.user)
            except CurationError as error:
                self.message_user(request, str(error), messages.ERROR)

    @admin.action(description=gettext_lazy("Pause"))
    def pause(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        for row in rows:
            self._change(request, row, row.role, row.daily_quota, True)

    @admin.action(description=gettext_lazy("Let work again"))
    def resume(self, request: HttpRequest, rows: QuerySet[Membership]) -> None:
        for row in rows:
            self._change(request, row, row.role, row.daily_quota, False)

    def _change(self, request: HttpRequest, row: Membership, role: str, quota: int, is_paused: bool) -> None:
        try:
            members.change(row, role, quota, is_paused, actor=request.user)
        except CurationError as error:
            self.message_user(request, str(error), messages.ERROR)


@admin.register(Preferences)
class PreferencesAdmin(admin.ModelAdmin):
    list_display = ["user", "mark_words"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    autocomplete_fields = ["user"]


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
    actions = ["put_in_service", "decline"]

    @admin.action(description=gettext_lazy("Put in service"), permissions=["serve"])
    def put_in_service(self, request: HttpRequest, rows: QuerySet[Release]) -> None:
        act_on(self, request, rows.select_related("project"), lambda row: lifecycle.switch(row, request.user))

    @admin.action(description=gettext_lazy("Decline"), permissions=["serve"])
    def decline(self, request: HttpRequest, rows: QuerySet[Release]) -> None:
        act_on(self, request, rows, lambda row: lifecycle.decline(row, request.user))

    def has_serve_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("curation.change_release"))


@admin.register(Query)
class QueryAdmin(admin.ModelAdmin):
    list_display = [
        "external_id",
        "beginning",
        "project",
        "state",
        "overlap",
        "is_evaluation",
        "asked_at",
        "settled_at",
    ]
    list_filter = ["project", "state", "source", "is_evaluation", ("gold", admin.EmptyFieldListFilter)]
    list_select_related = ["project"]
    search_fields = ["external_id", "text"]
    autocomplete_fields = ["project"]
    fields = ["project", "external_id", "text", "source", "state", "overlap", "stratum", "metadata", "is_evaluation"]
    fields += ["disagreement", "gold", "asked_by", "asked_at", "settled_at", "history"]
    readonly_fields = [name for name in fields if name not in ("overlap", "stratum", "metadata")]
    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50
    actions = ["reopen", "make_gold"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Query, form: forms.ModelForm, change: bool) -> None:
        """Another overlap opens or closes slots of the query."""
        if "overlap" in form.changed_data:
            project_settings.set_overlap(obj, obj.overlap, actor=request.user)
        super().save_model(request, obj, form, change)

    @admin.display(description=gettext_lazy("text"))
    def beginning(self, query: Query) -> str:
        return query.text[:80]

    @admin.display(description=gettext_lazy("history"))
    def history(self, query: Query) -> SafeString:
        return history_of(Event.objects.filter(query=query))

    @admin.action(description=gettext_lazy("Reopen for a reviewer"), permissions=["change"])
    def reopen(self, request: HttpRequest, rows: QuerySet[Query]) -> None:
        act_on(self, request, rows, lambda row: consensus.reopen(row, request.user))

    @admin.action(description=gettext_lazy("Make a gold question"), permissions=["change"])
    def make_gold(self, request: HttpRequest, rows: QuerySet[Query]) -> None:
        act_on(self, request, rows, lambda row: consensus.make_gold(row, request.user))


class ReassignForm(ActionForm):
    person = forms.ModelChoiceField(
        get_user_model().objects.order_by("username"), required=False, label=gettext_lazy("Give to")
    )


@admin.register(Assignment)
class AssignmentAdmin(BigReadOnlyAdmin):
    list_display = [
        "query",
        "project",
        "slot",
        "state",
        "curator",
        "selection",
        "is_extra",
        "lease_until",
        "submitted_at",
    ]
    list_filter = ["project", "state", "selection", "is_extra", "is_re_annotation", "is_flagged"]
    list_select_related = ["query", "project", "curator"]
    search_fields = ["query__external_id", "query__text", "curator__username"]
    action_form = ReassignForm
    actions = ["release_lease", "hand_back", "reassign"]

    @admin.action(description=gettext_lazy("Release the lease"), permissions=["manage"])
    def release_lease(self, request: HttpRequest, rows: QuerySet[Assignment]) -> None:
        act_on(self, request, rows, lambda row: assignments.release(row, request.user))

    @admin.action(description=gettext_lazy("Hand back"), permissions=["manage"])
    def hand_back(self, request: HttpRequest, rows: QuerySet[Assignment]) -> None:
        act_on(self, request, rows, lambda row: assignments.hand_back(row, actor=request.user))

    @admin.action(description=gettext_lazy("Reassign to the person chosen"), permissions=["manage"])
    def reassign(self, request: HttpRequest, rows: QuerySet[Assignment]) -> None:
        person = get_user_model().objects.filter(pk=request.POST.get("person") or 0).first()
        if person is None:
            self.message_user(request, _("Choose whom to give it to."), messages.WARNING)
            return
        act_on(self, request, rows, lambda row: assignments.reassign(row, person, request.user))

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("curation.change_assignment"))


@admin.register(Judgement)
class JudgementAdmin(BigReadOnlyAdmin):
    list_display = ["query", "passage", "curator", "grade", "changed_at", "withdrawn_at"]
    list_filter = ["grade", ("withdrawn_at", admin.EmptyFieldListFilter), "query__project"]
    list_select_related = ["query", "passage", "curator"]
    search_fields = ["query__external_id", "passage__external_id", "curator__username"]
    readonly_fields = ["history"]

    @admin.display(description=gettext_lazy("history"))
    def history(self, judgement: Judgement) -> SafeString:
        events = Event.objects.filter(assignment=judgement.assignment_id, passage=judgement.passage_id)
        return history_of(events)


@admin.register(Answer)
class AnswerAdmin(BigReadOnlyAdmin):
    list_display = ["query", "curator", "text", "changed_at"]
    list_filter = ["query__project"]
    list_select_related = ["query", "curator"]
    search_fields = ["query__external_id", "text", "curator__username"]


class ShownPassageInline(admin.TabularInline):
    model = ShownPassage
    fields = readonly_fields = ["rank", "passage", "score", "added_by"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Ranking)
class RankingAdmin(BigReadOnlyAdmin):
    list_display = ["query", "release", "build", "mode", "created_at"]
    list_filter = ["query__project", "mode"]
    list_select_related = ["query", "release__project", "build__corpus"]
    search_fields = ["query__external_id", "query__text"]
    inlines = [ShownPassageInline]


@admin.register(ShownPassage)
class ShownPassageAdmin(BigReadOnlyAdmin):
    list_display = ["ranking", "rank", "passage", "score", "added_by"]
    list_select_related = ["ranking__query", "passage", "added_by"]
    search_fields = ["passage__external_id"]


@admin.register(Draft)
class DraftAdmin(BigReadOnlyAdmin):
    list_display = ["ranking", "text", "generator", "seconds", "created_at"]
    list_filter = ["generator"]
    list_select_related = ["ranking__query", "generator"]
    search_fields = ["text"]


class SettledGradeInline(admin.TabularInline):
    model = SettledGrade
    fields = readonly_fields = ["passage", "grade", "judges", "reliability", "method"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Review)
class ReviewAdmin(BigReadOnlyAdmin):
    list_display = ["query", "state", "reason", "reviewer", "is_unanswerable", "created_at", "decided_at"]
    list_filter = ["state", "query__project", "is_unanswerable"]
    list_select_related = ["query", "reviewer"]
    search_fields = ["query__external_id", "query__text", "reviewer__username"]
    inlines = [SettledGradeInline]

    @admin.display(description=gettext_lazy("why"))
    def reason(self, review: Review) -> str:
        return labels.why(review)


@admin.register(SettledGrade)
class SettledGradeAdmin(BigReadOnlyAdmin):
    list_display = ["review", "passage", "grade", "judges", "reliability", "method"]
    list_filter = ["method"]
    list_select_related = ["review__query", "passage"]
    search_fields = ["passage__external_id"]


@admin.register(SuggestedGrade)
class SuggestedGradeAdmin(BigReadOnlyAdmin):
    list_display = ["query", "passage", "grade", "kind", "similarity", "state", "decided_by", "decided_at"]
    list_filter = ["state", "kind", "project"]
    list_select_related = ["query", "passage", "decided_by"]
    search_fields = ["query__external_id", "query__text", "passage__external_id"]
    actions = ["confirm", "refuse"]

    @admin.action(description=gettext_lazy("Confirm"), permissions=["decide"])
    def confirm(self, request: HttpRequest, rows: QuerySet[SuggestedGrade]) -> None:
        self._decide(request, rows, suggestion_review.confirm)

    @admin.action(description=gettext_lazy("Refuse"), permissions=["decide"])
    def refuse(self, request: HttpRequest, rows: QuerySet[SuggestedGrade]) -> None:
        self._decide(request, rows, suggestion_review.refuse)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("curation.change_suggestedgrade"))

    def _decide(
        self, request: HttpRequest, rows: QuerySet[SuggestedGrade], act: Callable[..., suggestion_review.Decided]
    ) -> None:
        ids = list(rows.values_list("project", "pk"))
        done = 0
        for project in Project.objects.filter(pk__in={project_id for project_id, _pk in ids}):
            done += act(project, [pk for project_id, pk in ids if project_id == project.pk], request.user).done
        self.message_user(request, _("Done for %(n)d.") % {"n": done}, messages.SUCCESS)


@admin.register(Event)
class EventAdmin(BigReadOnlyAdmin):
    list_display = ["at", "actor", "verb", "project", "query", "data"]
    list_filter = ["project", "verb"]
    list_select_related = ["actor", "project", "query"]
    search_fields = ["actor__username", "query__external_id"]
    ordering = ["-pk"]
