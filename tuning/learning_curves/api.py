"""API of the learning curves: start a curve and follow it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from common.jobs import enqueue
from curation.core.api import ProjectMixin
from curation.models import Membership
from tuning.engine.metrics.extrapolation import MIN_SIZE, LearningCurveFit
from tuning.learning_curves import learning_curve
from tuning.models import COMPONENTS, Component, LearningCurve


class PointSerializer(serializers.Serializer[LearningCurve]):
    """One training. The first point is the untuned component, with 0 queries."""

    queries = serializers.IntegerField()
    grades = serializers.IntegerField()
    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    seconds = serializers.FloatField()


class GainSerializer(serializers.Serializer[LearningCurve]):
    """Gain from one point to the next, per hundred further queries."""

    gain = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class ExtrapolationSerializer(serializers.Serializer[LearningCurveFit]):
    """Likely gain of the next queries."""

    queries = serializers.IntegerField(source="more")
    gain = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class CurveSerializer(serializers.ModelSerializer[LearningCurve]):
    dataset = serializers.IntegerField(source="dataset.number", default=None, allow_null=True)

    class Meta:
        model = LearningCurve
        fields = ["id", "component", "measure", "state", "sizes", "seed", "dataset", "reason"]
        fields += ["progress_done", "progress_total", "progress_note", "created_at", "started_at", "finished_at"]


class CurveDetailSerializer(CurveSerializer):
    """A curve with its points; `gains` has one entry fewer, `next` is null with too few points."""

    points = PointSerializer(many=True)
    gains = serializers.SerializerMethodField()
    next = serializers.SerializerMethodField()

    class Meta(CurveSerializer.Meta):
        fields = [*CurveSerializer.Meta.fields, "points", "gains", "next"]

    @extend_schema_field(GainSerializer(many=True))
    def get_gains(self, curve: LearningCurve) -> object:
        names = ("gain", "low", "high")
        return [dict(zip(names, gain, strict=True)) for gain in learning_curve.gains_per_hundred(curve)]

    @extend_schema_field(ExtrapolationSerializer(allow_null=True))
    def get_next(self, curve: LearningCurve) -> object:
        fit = learning_curve.extrapolate(curve)
        return ExtrapolationSerializer(fit).data if fit else None


class StartCurveSerializer(serializers.Serializer[LearningCurve]):
    component = serializers.ChoiceField(choices=COMPONENTS, required=False, default=Component.RETRIEVER)
    sizes = serializers.ListField(
        child=serializers.IntegerField(min_value=MIN_SIZE),
        required=False,
        default=list,
        max_length=30,
        help_text="Judged queries of each training; default: 50, 100, 200 …",
    )
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, default=0)
    minutes = serializers.FloatField(
        min_value=0.1, max_value=600, required=False, default=5, help_text="For each training, at most."
    )


class LearningCurves(ProjectMixin, generics.ListAPIView[LearningCurve]):
    """The learning curves of the project, newest first; start one."""

    role = Membership.Role.ENGINEER
    serializer_class = CurveSerializer
    queryset = LearningCurve.objects.none()

    def get_queryset(self) -> QuerySet[LearningCurve]:
        return self.project().learning_curves.select_related("dataset").defer("points")

    @extend_schema(request=StartCurveSerializer, responses={201: CurveSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Start a curve; 409 while another is unfinished."""
        project = self.project()
        form = StartCurveSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        data: dict[str, Any] = form.validated_data
        settings = {"budget_seconds": data["minutes"] * 60}
        curve = learning_curve.start(
            project, data["component"], sizes=data["sizes"], seed=data["seed"], settings=settings
        )
        enqueue("tuning.tasks.learn", curve.pk, queue="compute")
        return Response(CurveSerializer(curve).data, status=status.HTTP_201_CREATED)


class LearningCurveDetail(ProjectMixin, generics.RetrieveAPIView[LearningCurve]):
    """One learning curve: its points, the gain per hundred queries, the likely gain of the next."""

    role = Membership.Role.ENGINEER
    serializer_class = CurveDetailSerializer
    queryset = LearningCurve.objects.none()

    def get_queryset(self) -> QuerySet[LearningCurve]:
        return self.project().learning_curves.select_related("dataset")
