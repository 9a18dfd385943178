"""API of releases."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import generics, serializers

from curation.core.api import ProjectMixin
from curation.models import Release


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    build = serializers.IntegerField(source="build.number")
    encoder = serializers.CharField(source="build.encoder.name")
    generator = serializers.CharField(source="generator.name")
    reranker = serializers.CharField(source="reranker.name", default=None, allow_null=True)

    class Meta:
        model = Release
        fields = [
            *("number", "state", "build", "encoder", "generator", "fusion_weight"),
            *("reranker", "rerank_depth", "rerank_share", "created_at", "served_at"),
        ]


class Releases(ProjectMixin, generics.ListAPIView[Release]):
    """Every release of the project, newest first. The live one has state serving."""

    serializer_class = ReleaseSerializer
    queryset = Release.objects.none()

    def get_queryset(self) -> QuerySet[Release]:
        return self.project().releases.select_related("build__encoder", "generator", "reranker")
