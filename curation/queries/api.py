"""API of queries: list them, send one, read one with its passages and its draft."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from curation.core.api import ProjectMixin
from curation.models import Draft, Query, Ranking, ShownPassage
from curation.queries import intake


class ShownSerializer(serializers.ModelSerializer[ShownPassage]):
    """One place of a ranking with its passage."""

    passage = serializers.CharField(source="passage.external_id")
    document = serializers.CharField(source="passage.document.external_id")
    title = serializers.CharField(source="passage.title")
    text = serializers.CharField(source="passage.text")

    class Meta:
        model = ShownPassage
        fields = ["rank", "passage", "document", "title", "text", "score"]


class QuerySerializer(serializers.ModelSerializer[Query]):
    """A query without its ranking."""

    class Meta:
        model = Query
        fields = ["id", "external_id", "text", "source", "state", "asked_at", "settled_at"]


class AnsweredSerializer(QuerySerializer):
    """A query with its newest ranking. `draft` is null until the generator has written it."""

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
    """A new query."""

    text = serializers.CharField(max_length=10_000)
    external_id = serializers.CharField(
        max_length=300, required=False, help_text="Your id of the query. The same id again returns the same query."
    )


class Queries(ProjectMixin, generics.ListAPIView[Query]):
    """List the queries, newest first; send a new one."""

    serializer_class = QuerySerializer
    queryset = Query.objects.none()

    def get_queryset(self) -> QuerySet[Query]:
        return self.project().queries.order_by("-pk")

    @extend_schema(request=AskSerializer, responses={201: AnsweredSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Send a query: the response has its passages; its draft follows later at the query's own URL."""
        project = self.project()
        serializer = AskSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = request.user if isinstance(request.user, User) else None
        query = intake.ask(project, source=Query.Source.API, user=user, **serializer.validated_data)
        return Response(AnsweredSerializer(query).data, status=status.HTTP_201_CREATED)


class OneQuery(ProjectMixin, generics.RetrieveAPIView[Query]):
    """Return one query with its passages and its draft."""

    serializer_class = AnsweredSerializer
    queryset = Query.objects.none()

    def get_queryset(self) -> QuerySet[Query]:
        return self.project().queries.all()
