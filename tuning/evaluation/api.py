"""API of the blind comparison of two releases: read pairs, vote, read the result."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from curation.core.api import ProjectMixin
from curation.engine.statistics.sign_test import SignTestResult
from curation.models import Membership, Release
from curation.releases import evaluation_report
from retrieval.models import Passage
from tuning.evaluation import preference_votes
from tuning.models import ComparisonPair, Evaluation, Vote


class ComparedPassageSerializer(serializers.ModelSerializer[Passage]):
    passage = serializers.CharField(source="external_id")

    class Meta:
        model = Passage
        fields = ["passage", "title", "text"]


class SideSerializer(serializers.Serializer[Any]):
    letter = serializers.ChoiceField(choices=["A", "B"])
    answer = serializers.CharField(allow_null=True, help_text="Null where no answer was generated.")
    passages = ComparedPassageSerializer(many=True)
    release = serializers.IntegerField(source="release.number", default=None, allow_null=True)


class PairSerializer(serializers.ModelSerializer[ComparisonPair]):
    query = serializers.CharField(source="query.external_id")
    text = serializers.CharField(source="query.text")

    class Meta:
        model = ComparisonPair
        fields = ["id", "query", "text"]


class PairDetailSerializer(PairSerializer):
    """A pair as you see it; `vote` and the release of each side are given after you have voted."""

    sides = serializers.SerializerMethodField()
    vote = serializers.SerializerMethodField()

    class Meta(PairSerializer.Meta):
        fields = [*PairSerializer.Meta.fields, "sides", "vote"]

    def _own_vote(self, pair: ComparisonPair) -> Vote | None:
        return next((vote for vote in pair.votes.all() if vote.voter_id == self.context["request"].user.pk), None)

    @extend_schema_field(SideSerializer(many=True))
    def get_sides(self, pair: ComparisonPair) -> object:
        sides = preference_votes.sides_for(pair, self.context["request"].user, self._own_vote(pair))
        return SideSerializer(sides, many=True).data

    @extend_schema_field(serializers.ChoiceField(choices=Vote.Choice.choices, allow_null=True))
    def get_vote(self, pair: ComparisonPair) -> str | None:
        own_vote = self._own_vote(pair)
        return own_vote.choice if own_vote else None


class PairFilterSerializer(serializers.Serializer[ComparisonPair]):
    release = serializers.IntegerField(min_value=1, required=False, help_text="Only pairs with this challenger.")


class VoteSerializer(serializers.Serializer[Vote]):
    choice = serializers.ChoiceField(
        choices=[preference_votes.A, preference_votes.B, Vote.Choice.TIE.value, Vote.Choice.NEITHER.value]
    )


class SignSerializer(serializers.Serializer[SignTestResult]):
    """Queries won and lost, and the share won with its exact 95 % interval."""

    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    share = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    p = serializers.FloatField()


class TallySerializer(serializers.Serializer[Evaluation]):
    release = serializers.IntegerField(help_text="The challenger.")
    against = serializers.IntegerField(allow_null=True, help_text="The champion; null without an evaluation.")
    pairs = serializers.IntegerField()
    votes = serializers.IntegerField()
    people = serializers.IntegerField()
    ties = serializers.IntegerField()
    neither = serializers.IntegerField()
    sign = SignSerializer(allow_null=True)


class Pairs(ProjectMixin, generics.ListAPIView[ComparisonPair]):
    """The pairs that you have not voted on, those of the newest evaluation first."""

    role = Membership.Role.REVIEWER
    serializer_class = PairSerializer
    queryset = ComparisonPair.objects.none()

    @extend_schema(parameters=[PairFilterSerializer])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        return self.list(request)

    def get_queryset(self) -> QuerySet[ComparisonPair]:
        project = self.project()
        parameters = PairFilterSerializer(data=self.request.query_params)
        parameters.is_valid(raise_exception=True)
        release = parameters.validated_data.get("release")
        assert self.request.user.is_authenticated  # `project` lets nobody else in
        return preference_votes.unvoted_pairs(project, self.request.user, release).select_related("query")


class _PairMixin(ProjectMixin):
    role = Membership.Role.REVIEWER

    def get_queryset(self) -> QuerySet[ComparisonPair]:
        rows = preference_votes.finished_pairs(self.project()).prefetch_related("votes")
        return rows.select_related("query", "evaluation__champion", "evaluation__challenger")


class PairDetail(_PairMixin, generics.RetrieveAPIView[ComparisonPair]):
    """One pair: blind until you have voted."""

    serializer_class = PairDetailSerializer
    queryset = ComparisonPair.objects.none()


class Votes(_PairMixin, generics.GenericAPIView[Any]):
    """Your vote on a pair. It cannot be changed."""

    serializer_class = VoteSerializer
    queryset = ComparisonPair.objects.none()

    @extend_schema(request=VoteSerializer, responses={201: PairDetailSerializer})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Vote for A, B, tie or neither; the response names the releases. 409 on a second vote."""
        pair = self.get_object()
        form = VoteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        assert request.user.is_authenticated  # `get_object` lets nobody else in
        preference_votes.cast_vote(pair, request.user, form.validated_data["choice"])
        detail = PairDetailSerializer(self.get_object(), context=self.get_serializer_context())
        return Response(detail.data, status=status.HTTP_201_CREATED)


class ReleaseVotes(ProjectMixin, generics.RetrieveAPIView[Any]):
    """Result of the votes on a release and the one it was evaluated against, counted in queries, not in votes."""

    role = Membership.Role.ENGINEER
    serializer_class = TallySerializer
    queryset = Release.objects.none()
    lookup_field = "number"

    def get_object(self) -> dict[str, object]:
        releases = self.project().releases.prefetch_related("evaluations__champion")
        release = get_object_or_404(releases, number=self.kwargs["number"])
        evaluation = evaluation_report.latest_evaluation(release)
        votes = evaluation_report.count_votes(evaluation) or evaluation_report.VoteSummary(0, 0, 0, 0, None)
        return vars(votes) | {
            "release": release.number,
            "against": evaluation.champion.number if evaluation else None,
            "pairs": evaluation.pairs.count() if evaluation else 0,
        }
