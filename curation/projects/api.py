"""API of projects."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import generics, serializers

from curation.models import Project


class ProjectSerializer(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = ["slug", "name", "language", "description", "overlap"]


class Projects(generics.ListAPIView[Project]):
    """The projects you are a member of."""

    serializer_class = ProjectSerializer
    queryset = Project.objects.none()

    def get_queryset(self) -> QuerySet[Project]:
        return Project.objects.visible_to(self.request.user).order_by("slug")
