"""API of the training cycles: start a cycle and follow it."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from common.jobs import enqueue
from curation.core.api import ProjectMixin
from curation.models import Membership
from tuning.cycles import training_cycle
from tuning.models import COMPONENTS, Cycle, Gate
from tuning.training import training_runs


class CycleSerializer(serializers.ModelSerializer[Cycle]):
    challenger = serializers.IntegerField(source="challenger.number", allow_null=True, default=None)

    class Meta:
        model = Cycle
        fields = ["id", "state", "step", "only", "gate", "seed", "reason", "challenger"]
        fields += ["progress_done", "progress_total", "progress_note", "created_at", "started_at", "finished_at"]


class StartSerializer(serializers.Serializer[Cycle]):
    only = serializers.ChoiceField(choices=COMPONENTS, required=False, default="", allow_blank=True)
    gate = serializers.ChoiceField(choices=Gate.choices, required=False, default=Gate.AUTO)
    seed = serializers.IntegerField(min_value=0, required=False, default=0)
    reranker = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Train a reranker too. Kept only if its gain is significant and its latency within the limit.",
    )


class Cycles(ProjectMixin, generics.ListAPIView[Cycle]):
    """The training cycles of the project, newest first; start one (engineers)."""

    role = Membership.Role.ENGINEER
    serializer_class = CycleSerializer
    queryset = Cycle.objects.none()

    def get_queryset(self) -> QuerySet[Cycle]:
        return self.project().cycles.select_related("challenger")

    @extend_schema(request=StartSerializer, responses={201: CycleSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Start a cycle; 409 while another is unfinished."""
        project = self.project()
        form = StartSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        arguments = dict(form.validated_data)
        settings = training_runs.with_reranker({}, arguments.pop("reranker"))
        cycle = training_cycle.start(project, settings=settings, **arguments)
        enqueue("tuning.tasks.advance", cycle.pk)
        return Response(CycleSerializer(cycle).data, status=status.HTTP_201_CREATED)


class CycleDetail(ProjectMixin, generics.RetrieveAPIView[Cycle]):
    """One cycle: its step, its progress and, when it failed, the reason."""

    role = Membership.Role.ENGINEER
    serializer_class = CycleSerializer
    queryset = Cycle.objects.none()

    def get_queryset(self) -> QuerySet[Cycle]:
        return self.project().cycles.select_related("challenger")
