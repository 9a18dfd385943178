"""Datasets: what the machine learned from, with hash and card, and what is new in one since another."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from curation.api import ProjectMixin
from curation.models import Membership
from tuning import carding, differing
from tuning.api.lineage import NumberedReleaseSerializer, RunSerializer
from tuning.models import Dataset


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    class Meta:
        model = Dataset
        fields = ["number", "sha256", "seed", "counts", "created_at"]


class WorkedSerializer(serializers.Serializer[tuple[str, int]]):
    curator = serializers.CharField()
    judgements = serializers.IntegerField()


class WholeDatasetSerializer(DatasetSerializer):
    """A dataset with who is behind it and what became of it; `card` is Markdown, in English as it travels."""

    people = serializers.SerializerMethodField()
    reviewers = serializers.SerializerMethodField()
    runs = serializers.SerializerMethodField()
    releases = serializers.SerializerMethodField()
    card = serializers.SerializerMethodField()

    class Meta(DatasetSerializer.Meta):
        fields = [*DatasetSerializer.Meta.fields, "people", "reviewers", "runs", "releases", "card"]

    @extend_schema_field(WorkedSerializer(many=True))
    def get_people(self, dataset: Dataset) -> object:
        return [{"curator": name, "judgements": count} for name, count in carding.people(dataset)]

    def get_reviewers(self, dataset: Dataset) -> list[str]:
        return carding.reviewers(dataset)

    @extend_schema_field(RunSerializer(many=True))
    def get_runs(self, dataset: Dataset) -> object:
        return RunSerializer(carding.runs(dataset), many=True).data

    @extend_schema_field(NumberedReleaseSerializer(many=True))
    def get_releases(self, dataset: Dataset) -> object:
        return NumberedReleaseSerializer(carding.releases(dataset), many=True).data

    def get_card(self, dataset: Dataset) -> str:
        return carding.card(dataset)


class SinceSerializer(serializers.Serializer[Dataset]):
    since = serializers.IntegerField(min_value=1, required=False, help_text="A dataset's number; else the one before.")


class FrozenSerializer(serializers.Serializer[Dataset]):
    number = serializers.IntegerField()
    sha256 = serializers.CharField()


class ChangedSerializer(serializers.Serializer[differing.Changed]):
    query = serializers.CharField()
    what = serializers.ListField(child=serializers.ChoiceField(choices=differing.ASPECTS))


class JudgementsSerializer(serializers.Serializer[differing.Difference]):
    added = serializers.IntegerField(help_text="Only in the new one.")
    removed = serializers.IntegerField(help_text="Only in the old one.")


class DifferenceSerializer(serializers.Serializer[differing.Difference]):
    """What became of `old` in `new`, by the ids of queries."""

    old = FrozenSerializer()
    new = FrozenSerializer()
    added = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    changed = ChangedSerializer(many=True)
    same = serializers.IntegerField()
    judgements = JudgementsSerializer()


class Datasets(ProjectMixin, generics.ListAPIView[Dataset]):
    """The datasets of the project, newest first."""

    role = Membership.Role.ENGINEER
    serializer_class = DatasetSerializer
    queryset = Dataset.objects.none()

    def get_queryset(self) -> QuerySet[Dataset]:
        return self.project().datasets.order_by("-number")


class OneDataset(ProjectMixin, generics.RetrieveAPIView[Dataset]):
    """One dataset: its hash, its card, the people behind it, what it trained."""

    role = Membership.Role.ENGINEER
    serializer_class = WholeDatasetSerializer
    queryset = Dataset.objects.none()
    lookup_field = "number"

    def get_queryset(self) -> QuerySet[Dataset]:
        return self.project().datasets.select_related("project__corpus")


class DatasetChanges(ProjectMixin, generics.GenericAPIView[Dataset]):
    """What is new in a dataset since the one before it, or since the one that `since` names."""

    role = Membership.Role.ENGINEER
    serializer_class = DifferenceSerializer
    queryset = Dataset.objects.none()
    lookup_field = "number"

    @extend_schema(parameters=[SinceSerializer], responses=DifferenceSerializer)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """404 for the first dataset, 409 when the files of either are not what was frozen."""
        datasets = self.project().datasets.order_by("-number")
        new = get_object_or_404(datasets, number=number)
        wanted = SinceSerializer(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        since = wanted.validated_data.get("since")
        old = datasets.filter(number=since).first() if since else datasets.filter(number__lt=number).first()
        if old is None:
            raise Http404(_("There is no such dataset to compare with."))
        return Response(DifferenceSerializer(differing.differ(old, new).as_json()).data)
