"""Lineage: what a judgement shaped, and what is behind a release or an answer."""

from __future__ import annotations

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers

from curation.api import ProjectMixin
from curation.models import Draft, Judgement, Membership, Query, Release
from tuning import lineage
from tuning.models import DatasetQuery, Run


class JudgementSerializer(serializers.ModelSerializer[Judgement]):
    query = serializers.CharField(source="query.external_id")
    passage = serializers.CharField(source="passage.external_id")
    curator = serializers.CharField(source="curator.username")

    class Meta:
        model = Judgement
        fields = ["id", "query", "passage", "curator", "grade", "changed_at", "withdrawn_at"]


class RunSerializer(serializers.ModelSerializer[Run]):
    dataset = serializers.IntegerField(source="dataset.number")
    encoder = serializers.CharField(source="encoder.name", default=None, allow_null=True)
    generator = serializers.CharField(source="generator.name", default=None, allow_null=True)
    reranker = serializers.CharField(source="reranker.name", default=None, allow_null=True)

    class Meta:
        model = Run
        fields = ["id", "part", "dataset", "seed", "encoder", "generator", "reranker"]


class NumberedReleaseSerializer(serializers.ModelSerializer[Release]):
    class Meta:
        model = Release
        fields = ["number", "state"]


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
