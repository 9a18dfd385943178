"""API of suggested grades: list the waiting ones, confirm or reject them, undo a decision."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from curation.core.api import ProjectMixin
from curation.models import Assignment, Membership, SuggestedGrade
from curation.propagation import suggestion_review
from curation.propagation.forms import CONFIRM, MAX_SUGGESTIONS, REJECT, UNDO

ACTS = {CONFIRM: suggestion_review.confirm, REJECT: suggestion_review.reject, UNDO: suggestion_review.undo}


class SuggestedGradeSerializer(serializers.ModelSerializer[SuggestedGrade]):
    """A suggested grade with the settled grade that it comes from."""

    query = serializers.CharField(source="query.external_id")
    passage = serializers.CharField(source="passage.external_id")
    from_query = serializers.CharField(source="from_query.external_id")
    from_passage = serializers.CharField(source="from_passage.external_id")

    class Meta:
        model = SuggestedGrade
        fields = ["id", "query", "passage", "grade", "kind", "from_query", "from_passage", "similarity", "state"]


class DecideSerializer(serializers.Serializer[SuggestedGrade]):
    """A batch of suggested grades and the decision on them."""

    ids = serializers.ListField(child=serializers.IntegerField(min_value=1), min_length=1, max_length=MAX_SUGGESTIONS)
    decision = serializers.ChoiceField(choices=list(ACTS))


class DecidedSerializer(serializers.Serializer[suggestion_review.Decided]):
    """How many suggested grades were decided, and how many were not."""

    done = serializers.IntegerField()
    overtaken = serializers.IntegerField(help_text="Judged in the meantime, or the source is no longer settled so.")
    skipped = serializers.IntegerField(help_text="You are judging these queries, or have skipped them.")


class SuggestedGrades(ProjectMixin, generics.ListAPIView[SuggestedGrade]):
    """List the suggested grades that wait for a person; confirm or reject them."""

    role = Membership.Role.REVIEWER
    serializer_class = SuggestedGradeSerializer
    queryset = SuggestedGrade.objects.none()

    def get_queryset(self) -> QuerySet[SuggestedGrade]:
        claimed = Assignment.objects.held_by(_user(self.request)).values("query")
        waiting = SuggestedGrade.objects.waiting().filter(project=self.project()).exclude(query__in=claimed)
        return waiting.select_related("query", "passage", "from_query", "from_passage").order_by("pk")

    @extend_schema(request=DecideSerializer, responses=DecidedSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Decide a batch. Ids of another project, or already decided, change nothing."""
        project = self.project()
        serializer = DecideSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        act = ACTS[serializer.validated_data["decision"]]
        decided = act(project, serializer.validated_data["ids"], _user(request))
        return Response(DecidedSerializer(decided).data)


def _user(request: Request) -> User:
    """Return the signed-in user; `project()` has refused everybody else."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user
