"""Django admin of tuning."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from retrieval.admin import ModelAdmin, ReadOnlyAdmin
from tuning.cycles import policies
from tuning.models import (
    ComparisonPair,
    Cycle,
    Dataset,
    DatasetQuery,
    Decision,
    Evaluation,
    GuardrailSet,
    LearningCurve,
    Policy,
    Run,
    Vote,
)


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "seed", "counts", "sha256", "created_at"]
    list_filter = ["project"]


@admin.register(DatasetQuery)
class DatasetQueryAdmin(ReadOnlyAdmin):
    list_display = ["query", "dataset", "split", "cluster"]
    list_filter = ["dataset__project", "split"]
    list_select_related = ["query", "dataset__project"]
    search_fields = ["query__text", "query__external_id", "cluster"]
    fields = ["dataset", "query", "review", "split", "cluster", "judgement_list"]
    readonly_fields = ["judgement_list"]

    @admin.display(description="judgements")
    def judgement_list(self, row: DatasetQuery) -> str:
        judgements = row.judgements.select_related("curator", "passage")
        return "\n".join(f"{judgement.passage} · {judgement}" for judgement in judgements)


@admin.register(Cycle)
class CycleAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "state", "step", "only", "gate", "seed", "dataset", "challenger", "created_at"]
    list_filter = ["project", "state", "step"]
    list_select_related = ["project", "dataset__project", "challenger__project"]


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "cycle", "state", "loss", "seconds", "encoder", "generator", "reranker", "created_at"]
    list_filter = ["cycle__project", "component", "state"]
    list_select_related = ["cycle__project", "encoder", "generator", "reranker"]


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "state", "dataset", "created_at"]
    list_filter = ["cycle__project", "state"]
    list_select_related = ["champion__project", "challenger__project", "dataset__project"]


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ["evaluation", "promoted", "reason", "created_at"]
    list_filter = ["evaluation__cycle__project", "promoted"]
    list_select_related = ["evaluation__champion__project", "evaluation__challenger__project"]


@admin.register(Policy)
class PolicyAdmin(ModelAdmin):
    """Policies. A change is an event in the audit log here too."""

    list_display = ["project", "is_active", "min_new_queries", "min_hours_between", "only", "gate"]
    list_editable = ["is_active"]
    list_select_related = ["project"]

    def get_readonly_fields(self, request: HttpRequest, obj: Policy | None = None) -> list[str]:
        return ["project"] if obj else []

    def save_model(self, request: HttpRequest, obj: Policy, form: forms.BaseModelForm[Policy], change: bool) -> None:
        assert request.user.is_authenticated  # the admin lets nobody else in
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name != "project"}
        obj.pk = policies.change_policy(obj.project, changes, actor=request.user).pk


@admin.register(GuardrailSet)
class GuardrailSetAdmin(ReadOnlyAdmin):
    list_display = ["name", "project", "origin", "counts", "margin", "is_active"]
    list_filter = ["project", "origin"]
    list_select_related = ["project"]


@admin.register(ComparisonPair)
class ComparisonPairAdmin(ReadOnlyAdmin):
    list_display = ["query", "evaluation"]
    list_filter = ["evaluation__cycle__project"]
    list_select_related = ["query", "evaluation__champion__project", "evaluation__challenger__project"]


@admin.register(Vote)
class VoteAdmin(ReadOnlyAdmin):
    list_display = ["pair", "voter", "choice", "champion_was_a", "at"]
    list_filter = ["pair__evaluation__cycle__project", "choice"]
    list_select_related = ["voter", "pair__query"]


@admin.register(LearningCurve)
class LearningCurveAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "component", "state", "sizes", "created_at"]
    list_filter = ["project", "component", "state"]
    list_select_related = ["project"]
