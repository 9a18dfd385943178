"""The API of training runs: their loss and dev curves."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers

from curation.core.api import ProjectMixin
from curation.models import Membership
from tuning.models import Run
from tuning.training import training_curves


class TrainingCurveSerializer(serializers.Serializer[training_curves.TrainingCurve]):
    """One line of a chart. points: [step, value], step ascending."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=["loss", "dev"])
    points = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))


class RunCurvesSerializer(serializers.ModelSerializer[Run]):
    curves = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = ["id", "component", "state", "curves"]

    @extend_schema_field(TrainingCurveSerializer(many=True))
    def get_curves(self, run: Run) -> list[training_curves.TrainingCurve]:
        return training_curves.read_curves(run)


class RunCurves(ProjectMixin, generics.RetrieveAPIView[Run]):
    """Curves of one training: its loss, and its measure on dev."""

    role = Membership.Role.ENGINEER
    serializer_class = RunCurvesSerializer
    queryset = Run.objects.none()

    def get_queryset(self) -> QuerySet[Run]:
        return Run.objects.filter(cycle__project=self.project())
