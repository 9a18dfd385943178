"""API of the datasets: hash, card and difference of each, and the lineage of judgements, releases and answers."""

from __future__ import annotations

from typing import Any

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


class AnnotatorSerializer(serializers.Serializer[tuple[str, int]]):
    curator = serializers.CharField()
    judgements = serializers.IntegerField()


class DatasetDetailSerializer(DatasetSerializer):
    """A dataset with its annotators and its use; `card` is Markdown in English."""

    people = serializers.SerializerMethodField()
    reviewers = serializers.SerializerMethodField()
    runs = serializers.SerializerMethodField()
    releases = serializers.SerializerMethodField()
    card = serializers.SerializerMethodField()

    class Meta(DatasetSerializer.Meta):
        fields = [*DatasetSerializer.Meta.fields, "people", "reviewers", "runs", "releases", "card"]

    @extend_schema_field(AnnotatorSerializer(many=True))
    def get_people(self, dataset: Dataset) -> object:
        return [{"curator": name, "judgements": count} for name, count in dataset_card.annotators(dataset)]

    def get_reviewers(self, dataset: Dataset) -> list[str]:
        return dataset_card.reviewers(dataset)

    @extend_schema_field(RunSerializer(many=True))
    def get_runs(self, dataset: Dataset) -> object:
        return RunSerializer(dataset_card.runs(dataset), many=True).data

    @extend_schema_field(NumberedReleaseSerializer(many=True))
    def get_releases(self, dataset: Dataset) -> object:
        return NumberedReleaseSerializer(dataset_card.releases(dataset), many=True).data

    def get_card(self, dataset: Dataset) -> str:
        return dataset_card.render_card(dataset)


class SinceSerializer(serializers.Serializer[Dataset]):
    since = serializers.IntegerField(
        min_value=1, required=False, help_text="A dataset's number; default: the dataset before."
    )


class DatasetIdSerializer(serializers.Serializer[Dataset]):
    number = serializers.IntegerField()
    sha256 = serializers.CharField()


class ChangedQuerySerializer(serializers.Serializer[diff.ChangedQuery]):
    query = serializers.CharField()
    what = serializers.ListField(child=serializers.ChoiceField(choices=diff.ASPECTS))


class JudgementCountsSerializer(serializers.Serializer[diff.Difference]):
    added = serializers.IntegerField(help_text="Only in the new one.")
    removed = serializers.IntegerField(help_text="Only in the old one.")


class DifferenceSerializer(serializers.Serializer[dict[str, Any]]):
    """The queries that were added, removed or changed from `old` to `new`, by id."""

    old = DatasetIdSerializer()
    new = DatasetIdSerializer()
    added = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    changed = ChangedQuerySerializer(many=True)
    same = serializers.IntegerField()
    judgements = JudgementCountsSerializer()


class Datasets(ProjectMixin, generics.ListAPIView[Dataset]):
    """The datasets of the project, newest first."""

    role = Membership.Role.ENGINEER
    serializer_class = DatasetSerializer
    queryset = Dataset.objects.none()

    def get_queryset(self) -> QuerySet[Dataset]:
        return self.project().datasets.order_by("-number")


class DatasetDetail(ProjectMixin, generics.RetrieveAPIView[Dataset]):
    """One dataset: its hash, its card, its annotators, the runs and releases that use it."""

    role = Membership.Role.ENGINEER
    serializer_class = DatasetDetailSerializer
    queryset = Dataset.objects.none()
    lookup_field = "number"

    def get_queryset(self) -> QuerySet[Dataset]:
        return self.project().datasets.select_related("project__corpus")


class DatasetChanges(ProjectMixin, generics.GenericAPIView[Any]):
    """Differences of a dataset from the one before it, or from the one that `since` names."""

    role = Membership.Role.ENGINEER
    serializer_class = DifferenceSerializer
    queryset = Dataset.objects.none()
    lookup_field = "number"

    @extend_schema(parameters=[SinceSerializer], responses=DifferenceSerializer)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """404 for the first dataset, 409 when the files of either dataset have changed."""
        datasets = self.project().datasets.order_by("-number")
        new = get_object_or_404(datasets, number=number)
        parameters = SinceSerializer(data=request.query_params)
        parameters.is_valid(raise_exception=True)
        since = parameters.validated_data.get("since")
        old = datasets.filter(number=since).first() if since else datasets.filter(number__lt=number).first()
        if old is None:
            raise Http404(_("There is no dataset to compare with."))
        return Response(DifferenceSerializer(diff.compare_datasets(old, new).as_json()).data)


class JudgementSerializer(serializers.ModelSerializer[Judgement]):
    query = serializers.CharField(source="query.external_id")
    passage = serializers.CharField(source="passage.external_id")
    curator = serializers.CharField(source="curator.username")

    class Meta:
        model = Judgement
        fields = ["id", "query", "passage", "curator", "grade", "changed_at", "withdrawn_at"]


class DatasetRowSerializer(serializers.ModelSerializer[DatasetQuery]):
    """One dataset that the judgement is in, and its split there."""

    dataset = serializers.IntegerField(source="dataset.number")
    sha256 = serializers.CharField(source="dataset.sha256")

    class Meta:
        model = DatasetQuery
        fields = ["dataset", "sha256", "split"]


class UsageSerializer(serializers.Serializer[lineage.JudgementUsage]):
    rows = DatasetRowSerializer(many=True, help_text="Newest dataset first.")
    runs = RunSerializer(many=True, help_text="Runs that were trained with it.")
    releases = NumberedReleaseSerializer(many=True, help_text="Releases with the weights of these runs.")
    measured = NumberedReleaseSerializer(many=True, help_text="Evaluated on its query, and not trained with it.")
    answers = serializers.IntegerField(help_text="Drafts that these releases generated.")


class JudgementLineageSerializer(JudgementSerializer):
    used_in = serializers.SerializerMethodField()

    class Meta(JudgementSerializer.Meta):
        fields = [*JudgementSerializer.Meta.fields, "used_in"]

    @extend_schema_field(UsageSerializer)
    def get_used_in(self, judgement: Judgement) -> object:
        return UsageSerializer(lineage.usage_of(judgement)).data


class OriginSerializer(serializers.Serializer[lineage.ReleaseOrigin]):
    release = serializers.IntegerField(source="release.number")
    runs = RunSerializer(many=True, help_text="Runs that trained its weights; none for a base release.")
    datasets = serializers.SerializerMethodField()
    judgements = serializers.IntegerField(help_text="Number of judgements it was trained with.")

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_datasets(self, origin: lineage.ReleaseOrigin) -> list[int]:
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
        """Null for an answer that was imported: no release generated it."""
        release = draft.ranking.release
        return OriginSerializer(lineage.origin_of(release)).data if release else None


class JudgementLineage(ProjectMixin, generics.RetrieveAPIView[Judgement]):
    """The datasets, runs and releases that used a judgement. Reviewers read all judgements, others their own."""

    serializer_class = JudgementLineageSerializer
    queryset = Judgement.objects.none()

    def get_queryset(self) -> QuerySet[Judgement]:
        return lineage.readable_judgements(self.membership()).select_related("query", "passage", "curator")


class ReleaseLineage(ProjectMixin, generics.RetrieveAPIView[Any]):
    """The runs and datasets that a release was made from."""

    role = Membership.Role.ENGINEER
    serializer_class = OriginSerializer
    queryset = Release.objects.none()
    lookup_field = "number"

    def get_object(self) -> lineage.ReleaseOrigin:
        releases = self.project().releases.select_related("build")
        return lineage.origin_of(get_object_or_404(releases, number=self.kwargs["number"]))


class ReleaseJudgements(ProjectMixin, generics.ListAPIView[Judgement]):
    """The judgements that a release was trained with, newest first."""

    role = Membership.Role.ENGINEER
    serializer_class = JudgementSerializer
    queryset = Judgement.objects.none()

    def get_queryset(self) -> QuerySet[Judgement]:
        release = get_object_or_404(self.project().releases.select_related("build"), number=self.kwargs["number"])
        return lineage.training_judgements(release).select_related("query", "passage", "curator")


class AnswerLineage(ProjectMixin, generics.RetrieveAPIView[Any]):
    """Origin of the newest draft of a query; 404 while it has none."""

    role = Membership.Role.ENGINEER
    serializer_class = AnswerLineageSerializer
    queryset = Query.objects.none()

    def get_object(self) -> Draft:
        drafts = Draft.objects.filter(ranking__query__project=self.project(), ranking__query=self.kwargs["pk"])
        newest = drafts.select_related("ranking__query", "ranking__release__build", "generator").order_by("-ranking")
        return get_object_or_404(newest[:1])
