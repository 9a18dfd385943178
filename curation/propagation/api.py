"""The API of suggested grades: list them, confirm or refuse them."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from curation.core.api import ProjectMixin
from curation.models import (
    Assignment,
    Membership,
    SuggestedGrade,
)
from curation.propagation import suggestion_review


class SuggestedGradeSerializer(serializers.ModelSerializer[SuggestedGrade]):
    query = serializers.CharField(source="query.external_id")
    passage = serializers.CharField(source="passage.external_id")
    from_query = serializers.CharField(source="from_query.external_id")
    from_passage = serializers.CharField(source="from_passage.external_id")

    class Meta:
        model = SuggestedGrade
        fields = ["id", "query", "passage", "grade", "kind", "from_query", "from_passage", "similarity", "state"]


class DecideSerializer(serializers.Serializer[SuggestedGrade]):
    ids = serializers.ListField(child=serializers.IntegerField(min_value=1), min_length=1, max_length=500)
    decision = serializers.ChoiceField(choices=["confirm", "refuse", "take_back"])


class DecidedSerializer(serializers.Serializer[SuggestedGrade]):
    done = serializers.IntegerField()
    overtaken = serializers.IntegerField(help_text="Judged meanwhile, or the source is no longer settled so.")
    left = serializers.IntegerField(help_text="You are judging these queries, or gave them back.")


class SuggestedGrades(ProjectMixin, generics.ListAPIView[SuggestedGrade]):
    """Grades that near-duplicates and paraphrases may take over and that wait for a person; confirm or refuse some."""

    role = Membership.Role.REVIEWER
    serializer_class = SuggestedGradeSerializer
    queryset = SuggestedGrade.objects.none()

    def get_queryset(self) -> QuerySet[SuggestedGrade]:
        held = Assignment.objects.held_by(self.request.user).values("query")
        waiting = SuggestedGrade.objects.waiting().filter(project=self.project()).exclude(query__in=held)
        return waiting.select_related("query", "passage", "from_query", "from_passage").order_by("pk")

    @extend_schema(request=DecideSerializer, responses=DecidedSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Decide a batch. What is not the project's, or has been decided already, changes nothing."""
        project = self.project()
        wanted = DecideSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        act = getattr(suggestion_review, wanted.validated_data["decision"])
        done = act(project, wanted.validated_data["ids"], request.user)
        return Response(DecidedSerializer(done).data)
