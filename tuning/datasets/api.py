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

from curation.core.api import ProjectMixin
from curation.models import Draft, Judgement, Membership, Query, Release
from tuning.datasets import dataset_card, diff, lineage
from tuning.models import Dataset, DatasetQuery, Run


class RunSerializer(serializers.ModelSerializer[Run]):
    dataset = serializers.IntegerField(source="dataset.number")
    encoder = serializers.CharField(source="encoder.name", default=None, allow_null=True)
    generator = serializers.CharField(source="generator.name", default=None, allow_null=True)
    reranker = serializers.CharField(source="reranker.name", default=None, allow_null=True)

    class Meta:
        model = Run
        fields = ["id", "component", "dataset", "seed", "encoder", "generator", "reranker"]


class NumberedReleaseSerializer(serializers.ModelSerializer[Release]):
    class Meta:
        model = Release
        fields = ["number", "state"]


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
        return [{"curator": name, "judgements": count} for name, count in dataset_card.people(dataset)]

    def get_reviewers(self, dataset: Dataset) -> list[str]:
        return dataset_card.reviewers(dataset)

    @extend_schema_field(RunSerializer(many=True))
    def get_runs(self, dataset: Dataset) -> object:
        return RunSerializer(dataset_card.runs(dataset), many=True).data

    @extend_schema_field(NumberedReleaseSerializer(many=True))
    def get_releases(self, dataset: Dataset) -> object:
        return NumberedReleaseSerializer(dataset_card.releases(dataset), many=True).data

    def get_card(self, dataset: Dataset) -> str:
        return dataset_card.card(dataset)


class SinceSerializer(serializers.Serializer[Dataset]):
    since = serializers.IntegerField(min_value=1, required=False, help_text="A dataset's number; else the one before.")


class FrozenSerializer(serializers.Serializer[Dataset]):
    number = serializers.IntegerField()
    sha256 = serializers.CharField()


class ChangedSerializer(serializers.Serializer[diff.Changed]):
    query = serializers.CharField()
    what = serializers.ListField(child=serializers.ChoiceField(choices=diff.ASPECTS))


class JudgementsSerializer(serializers.Serializer[diff.Difference]):
    added = serializers.IntegerField(help_text="Only in the new one.")
    removed = serializers.IntegerField(help_text="Only in the old one.")


class DifferenceSerializer(serializers.Serializer[diff.Difference]):
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
        return Response(DifferenceSerializer(diff.differ(old, new).as_json()).data)


class JudgementSerializer(serializers.ModelSerializer[Judgement]):
    query = serializers.CharField(source="query.external_id")
    passage = serializers.CharField(source="passage.external_id")
    curator = serializers.CharField(source="curator.username")

    class Meta:
        model = Judgement
        fields = ["id", "query", "passage", "curator", "grade", "changed_at", "withdrawn_at"]


class RowSerializer(serializers.ModelSerializer[DatasetQuery]):
    """One dataset that the judgement is in, and on which side of its split."""

    dataset = serializers.IntegerField(source="dataset.number")
    sha256 = serializers.CharField(source="dataset.sha256")

    class Meta:
        model = DatasetQuery
        fields = ["dataset", "sha256", "split"]


class ShapedSerializer(serializers.Serializer[lineage.Shaped]):
    rows = RowSerializer(many=True, help_text="Newest dataset first.")
    runs = RunSerializer(many=True, help_text="Those whose weights it took part in.")
    releases = NumberedReleaseSerializer(many=True, help_text="Those that serve, or served, with these weights.")
    measured = NumberedReleaseSerializer(many=True, help_text="Measured on its query, and not trained with it.")
    answers = serializers.IntegerField(help_text="Drafts that these releases have written.")


class JudgementLineageSerializer(JudgementSerializer):
    shaped = serializers.SerializerMethodField()

    class Meta(JudgementSerializer.Meta):
        fields = [*JudgementSerializer.Meta.fields, "shaped"]

    @extend_schema_field(ShapedSerializer)
    def get_shaped(self, judgement: Judgement) -> object:
        return ShapedSerializer(lineage.shaped(judgement)).data


class OriginSerializer(serializers.Serializer[lineage.Origin]):
    release = serializers.IntegerField(source="release.number")
    runs = RunSerializer(many=True, help_text="The trainings that gave its weights; none of a base.")
    datasets = serializers.SerializerMethodField()
    judgements = serializers.IntegerField(help_text="How many are behind it.")

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_datasets(self, origin: lineage.Origin) -> list[int]:
        return [dataset.number for dataset in origin.datasets]


class AnswerLineageSerializer(serializers.ModelSerializer[Draft]):
    query = serializers.CharField(source="ranking.query.external_id")
    generator = serializers.CharField(source="generator.name", default=None, allow_null=True)
    origin = serializers.SerializerMethodField()

    class Meta:
        model = Draft
        fields = ["query", "text", "created_at", "generator", "origin"]

    @extend_schema_field(OriginSerializer(allow_null=True))
    def get_origin(self, draft: Draft) -> object:
        """Null for an answer that came from a file: no release wrote it."""
        release = draft.ranking.release
        return OriginSerializer(lineage.origin(release)).data if release else None


class JudgementLineage(ProjectMixin, generics.RetrieveAPIView[Judgement]):
    """What a judgement shaped: one's own, or anybody's for a reviewer."""

    serializer_class = JudgementLineageSerializer
    queryset = Judgement.objects.none()

    def get_queryset(self) -> QuerySet[Judgement]:
        return lineage.readable_by(self.membership()).select_related("query", "passage", "curator")


class ReleaseLineage(ProjectMixin, generics.RetrieveAPIView[Release]):
    """The trainings and the datasets behind a release."""

    role = Membership.Role.ENGINEER
    serializer_class = OriginSerializer
    queryset = Release.objects.none()
    lookup_field = "number"

    def get_object(self) -> lineage.Origin:  # type: ignore[override]
        releases = self.project().releases.select_related("build")
        return lineage.origin(get_object_or_404(releases, number=self.kwargs["number"]))


class ReleaseJudgements(ProjectMixin, generics.ListAPIView[Judgement]):
    """The judgements behind a release, newest first."""

    role = Membership.Role.ENGINEER
    serializer_class = JudgementSerializer
    queryset = Judgement.objects.none()

    def get_queryset(self) -> QuerySet[Judgement]:
        release = get_object_or_404(self.project().releases.select_related("build"), number=self.kwargs["number"])
        return lineage.behind(release).select_related("query", "passage", "curator")


class AnswerLineage(ProjectMixin, generics.RetrieveAPIView[Draft]):
    """What is behind the newest answer that was drafted for a query; 404 while it has none."""

    role = Membership.Role.ENGINEER
    serializer_class = AnswerLineageSerializer
    queryset = Query.objects.none()

    def get_object(self) -> Draft:
        drafts = Draft.objects.filter(ranking__query__project=self.project(), ranking__query=self.kwargs["pk"])
        found = drafts.select_related("ranking__query", "ranking__release__build", "generator").order_by("-ranking")
        return get_object_or_404(found[:1])
