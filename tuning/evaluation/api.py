"""Two releases on one query, side by side and blind: look, vote, and read what the votes say."""

from __future__ import annotations

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from curation.core.api import ProjectMixin
from curation.models import Membership, Release
from curation.releases import evaluation_report
from retrieval.models import Passage
from tuning.evaluation import preference_votes
from tuning.models import ComparisonPair, Evaluation, Vote


class ReadSerializer(serializers.ModelSerializer[Passage]):
    passage = serializers.CharField(source="external_id")

    class Meta:
        model = Passage
        fields = ["passage", "title", "text"]


class SideSerializer(serializers.Serializer[preference_votes.Side]):
    letter = serializers.ChoiceField(choices=["A", "B"])
    answer = serializers.CharField(allow_null=True, help_text="Null where none was written.")
    passages = ReadSerializer(many=True)
    release = serializers.IntegerField(source="release.number", default=None, allow_null=True)


class PairSerializer(serializers.ModelSerializer[ComparisonPair]):
    query = serializers.CharField(source="query.external_id")
    text = serializers.CharField(source="query.text")

    class Meta:
        model = ComparisonPair
        fields = ["id", "query", "text"]


class ShownPairSerializer(PairSerializer):
    """A pair as it stands for you; `vote`, and whose the sides are, once you have voted."""

    sides = serializers.SerializerMethodField()
    vote = serializers.SerializerMethodField()

    class Meta(PairSerializer.Meta):
        fields = [*PairSerializer.Meta.fields, "sides", "vote"]

    def _mine(self, pair: ComparisonPair) -> Vote | None:
        return next((vote for vote in pair.votes.all() if vote.voter_id == self.context["request"].user.pk), None)

    @extend_schema_field(SideSerializer(many=True))
    def get_sides(self, pair: ComparisonPair) -> object:
        return SideSerializer(
            preference_votes.sides(pair, self.context["request"].user, self._mine(pair)), many=True
        ).data

    @extend_schema_field(serializers.ChoiceField(choices=Vote.Choice.choices, allow_null=True))
    def get_vote(self, pair: ComparisonPair) -> str | None:
        mine = self._mine(pair)
        return mine.choice if mine else None


class OnlySerializer(serializers.Serializer[ComparisonPair]):
    release = serializers.IntegerField(min_value=1, required=False, help_text="Only pairs with this challenger.")


class VoteSerializer(serializers.Serializer[Vote]):
    choice = serializers.ChoiceField(
        choices=[preference_votes.A, preference_votes.B, Vote.Choice.TIE.value, Vote.Choice.NEITHER.value]
    )


class SignSerializer(serializers.Serializer[evaluation_report.Sign]):
    """Of the queries that one side won: how many the release did, with the exact 95 % interval of its share."""

    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    share = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    p = serializers.FloatField()


class TallySerializer(serializers.Serializer[Evaluation]):
    release = serializers.IntegerField(help_text="The challenger.")
    against = serializers.IntegerField(allow_null=True, help_text="The champion; null where it was never measured.")
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

    @extend_schema(parameters=[OnlySerializer])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        return self.list(request)

    def get_queryset(self) -> QuerySet[ComparisonPair]:
        project = self.project()
        wanted = OnlySerializer(data=self.request.query_params)
        wanted.is_valid(raise_exception=True)
        return preference_votes.open_to(
            project, self.request.user, wanted.validated_data.get("release")
        ).select_related("query")


class _PairMixin(ProjectMixin):
    role = Membership.Role.REVIEWER

    def get_queryset(self) -> QuerySet[ComparisonPair]:
        rows = preference_votes.finished(self.project()).prefetch_related("votes")
        return rows.select_related("query", "evaluation__champion", "evaluation__challenger")


class OnePair(_PairMixin, generics.RetrieveAPIView[ComparisonPair]):
    """One pair: blind until you have voted."""

    serializer_class = ShownPairSerializer
    queryset = ComparisonPair.objects.none()


class Votes(_PairMixin, generics.GenericAPIView[ComparisonPair]):
    """Your vote on a pair, for good."""

    serializer_class = VoteSerializer
    queryset = ComparisonPair.objects.none()

    @extend_schema(request=VoteSerializer, responses={201: ShownPairSerializer})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Vote for A, B, both alike or neither; the answer names the releases. 409 on a second vote."""
        pair = self.get_object()
        wanted = VoteSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        preference_votes.vote(pair, request.user, wanted.validated_data["choice"])
        shown = ShownPairSerializer(self.get_object(), context=self.get_serializer_context())
        return Response(shown.data, status=status.HTTP_201_CREATED)


class ReleaseVotes(ProjectMixin, generics.RetrieveAPIView[Release]):
    """What people preferred, a release or the one it was measured against: queries won, not votes."""

    role = Membership.Role.ENGINEER
    serializer_class = TallySerializer
    queryset = Release.objects.none()
    lookup_field = "number"

    def get_object(self) -> dict[str, object]:  # type: ignore[override]
        releases = self.project().releases.prefetch_related("evaluations__champion")
        release = get_object_or_404(releases, number=self.kwargs["number"])
        evaluation = evaluation_report.last_evaluation(release)
        found = evaluation_report.votes(evaluation) or evaluation_report.Votes(0, 0, 0, 0, None)
        return vars(found) | {
            "release": release.number,
            "against": evaluation.champion.number if evaluation else None,
            "pairs": evaluation.pairs.count() if evaluation else 0,
        }
