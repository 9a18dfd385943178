"""Django admin of the corpus, the encoders and the index builds. Most is read-only: an import changes text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from retrieval.models import Corpus, Document, Encoder, IndexBuild, Passage, Reranker

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Admin without add, change and delete, for rows that judgements and releases refer to."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Corpus)
class CorpusAdmin(ModelAdmin):
    list_display = ["slug", "name", "created_at"]
    search_fields = ["slug", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Corpus | None = None) -> list[str]:
        """Make the licence read-only once a project uses the corpus: the project's page changes and logs it."""
        return ["licence"] if obj is not None and obj.projects.exists() else []


@admin.register(Document)
class DocumentAdmin(ReadOnlyAdmin):
    list_display = ["external_id", "title", "corpus", "created_at", "retired_at"]
    list_filter = ["corpus", ("retired_at", admin.EmptyFieldListFilter)]
    list_select_related = ["corpus"]
    search_fields = ["external_id", "title"]
    show_full_result_count = False


@admin.register(Passage)
class PassageAdmin(ReadOnlyAdmin):
    list_display = ["external_id", "title", "excerpt", "corpus", "retired_at"]
    list_filter = ["corpus", ("retired_at", admin.EmptyFieldListFilter)]
    list_select_related = ["corpus"]
    search_fields = ["external_id", "title", "text"]
    show_full_result_count = False

    @admin.display(description="text")
    def excerpt(self, passage: Passage) -> str:
        return passage.text[:100]


@admin.register(Encoder)
class EncoderAdmin(ReadOnlyAdmin):
    list_display = ["name", "dim", "temperature", "parent", "created_at"]
    list_select_related = ["parent"]
    search_fields = ["name", "query_path", "passage_path"]


@admin.register(Reranker)
class RerankerAdmin(ReadOnlyAdmin):
    list_display = ["name", "path", "created_at"]
    search_fields = ["name"]


@admin.register(IndexBuild)
class IndexBuildAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "state", "encoder", "passage_count", "seconds", "finished_at", "retired_at", "reason"]
    list_filter = ["state", "corpus"]
    list_select_related = ["corpus", "encoder"]
