"""The API of curation: the same acts as the pages, for programs.

A program asks with an id of its own, so a repeated request is the same query and not a second one.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from common.jobs import enqueue
from curation import tasks
from curation.core.permissions import project_for
from curation.models import (
    Assignment,
    Draft,
    Membership,
    Project,
    ProvisionalGrade,
    Query,
    Ranking,
    Release,
    ShownPassage,
)
from curation.propagation import suggestion_review
from curation.queries import intake


class ProjectMixin:
    """Finds the project of the address: 404 for a stranger, 403 for too low a role."""

    role: str = Membership.Role.ANNOTATOR
    kwargs: dict[str, Any]
    request: Request

    def project(self) -> Project:
        return project_for(self.request.user, self.kwargs["slug"], self.role)[0]

    def membership(self) -> Membership:
        """The person's own, with the project."""
        return project_for(self.request.user, self.kwargs["slug"], self.role)[1]


class ProjectSerializer(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = ["slug", "name", "language", "description", "overlap"]


class ShownSerializer(serializers.ModelSerializer[ShownPassage]):
    passage = serializers.CharField(source="passage.external_id")
    document = serializers.CharField(source="passage.document.external_id")
    title = serializers.CharField(source="passage.title")
    text = serializers.CharField(source="passage.text")

    class Meta:
        model = ShownPassage
        fields = ["rank", "passage", "document", "title", "text", "score"]


class QuerySerializer(serializers.ModelSerializer[Query]):
    class Meta:
        model = Query
        fields = ["id", "external_id", "text", "source", "state", "asked_at", "settled_at"]


class AnsweredSerializer(QuerySerializer):
    """A query with what the serving release made of it. `draft` is null until the generator has written it."""

    release = serializers.SerializerMethodField()
    draft = serializers.SerializerMethodField()
    passages = serializers.SerializerMethodField()

    class Meta(QuerySerializer.Meta):
        fields = [*QuerySerializer.Meta.fields, "release", "draft", "passages"]

    def _ranking(self, query: Query) -> Ranking | None:
        return query.rankings.select_related("release").order_by("-pk").first()

    def get_release(self, query: Query) -> int | None:
        ranking = self._ranking(query)
        return ranking.release.number if ranking and ranking.release else None

    def get_draft(self, query: Query) -> str | None:
        return Draft.objects.filter(ranking=self._ranking(query)).values_list("text", flat=True).first()

    @extend_schema_field(ShownSerializer(many=True))
    def get_passages(self, query: Query) -> list[Any]:
        shown = ShownPassage.objects.filter(ranking=self._ranking(query)).select_related("passage__document")
        return list(ShownSerializer(shown, many=True).data)


class AskSerializer(serializers.Serializer[Query]):
    text = serializers.CharField(max_length=10_000)
    external_id = serializers.CharField(max_length=300, required=False, help_text="Asked twice, it is one query.")


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    build = serializers.IntegerField(source="build.number")
    encoder = serializers.CharField(source="build.encoder.name")
    generator = serializers.CharField(source="generator.name")
    reranker = serializers.CharField(source="reranker.name", default=None, allow_null=True)

    class Meta:
        model = Release
        fields = [
            *("number", "state", "build", "encoder", "generator", "fusion_weight"),
            *("reranker", "rerank_depth", "rerank_share", "created_at", "served_at"),
        ]


class ProvisionalGradeSerializer(serializers.ModelSerializer[ProvisionalGrade]):
    query = serializers.CharField(source="query.external_id")
    passage = serializers.CharField(source="passage.external_id")
    from_query = serializers.CharField(source="from_query.external_id")
    from_passage = serializers.CharField(source="from_passage.external_id")

    class Meta:
        model = ProvisionalGrade
        fields = ["id", "query", "passage", "grade", "kind", "from_query", "from_passage", "likeness", "state"]


class DecideSerializer(serializers.Serializer[ProvisionalGrade]):
    ids = serializers.ListField(child=serializers.IntegerField(min_value=1), min_length=1, max_length=500)
    decision = serializers.ChoiceField(choices=["confirm", "refuse", "take_back"])


class DecidedSerializer(serializers.Serializer[ProvisionalGrade]):
    done = serializers.IntegerField()
    overtaken = serializers.IntegerField(help_text="Judged meanwhile, or the source is no longer settled so.")
    left = serializers.IntegerField(help_text="You are judging these queries, or gave them back.")


class Projects(generics.ListAPIView[Project]):
    """The projects you are a member of."""

    serializer_class = ProjectSerializer
    queryset = Project.objects.none()

    def get_queryset(self) -> QuerySet[Project]:
        return Project.objects.visible_to(self.request.user).order_by("slug")


class Queries(ProjectMixin, generics.ListAPIView[Query]):
    """What was asked, newest first; ask something new."""

    serializer_class = QuerySerializer
    queryset = Query.objects.none()

    def get_queryset(self) -> QuerySet[Query]:
        return self.project().queries.order_by("-pk")

    @extend_schema(request=AskSerializer, responses={201: AnsweredSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Ask: the passages come at once, the draft a little later at the query's own address."""
        project = self.project()
        wanted = AskSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        user = request.user if isinstance(request.user, User) else None
        query = intake.ask(project, source=Query.Source.API, user=user, **wanted.validated_data)
        enqueue(tasks.draft, query.rankings.latest("pk").pk)
        return Response(AnsweredSerializer(query).data, status=status.HTTP_201_CREATED)


class OneQuery(ProjectMixin, generics.RetrieveAPIView[Query]):
    """One query with its passages and its draft."""

    serializer_class = AnsweredSerializer
    queryset = Query.objects.none()

    def get_queryset(self) -> QuerySet[Query]:
        return self.project().queries.all()


class ProvisionalGrades(ProjectMixin, generics.ListAPIView[ProvisionalGrade]):
    """Grades that near-duplicates and paraphrases may take over and that wait for a person; confirm or refuse some."""

    role = Membership.Role.REVIEWER
    serializer_class = ProvisionalGradeSerializer
    queryset = ProvisionalGrade.objects.none()

    def get_queryset(self) -> QuerySet[ProvisionalGrade]:
        held = Assignment.objects.held_by(self.request.user).values("query")
        waiting = ProvisionalGrade.objects.waiting().filter(project=self.project()).exclude(query__in=held)
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


class Releases(ProjectMixin, generics.ListAPIView[Release]):
    """Every release of the project, newest first; one of them is serving."""

    serializer_class = ReleaseSerializer
    queryset = Release.objects.none()

    def get_queryset(self) -> QuerySet[Release]:
        return self.project().releases.select_related("build__encoder", "generator", "reranker")
