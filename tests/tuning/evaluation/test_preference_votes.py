"""Blind comparison of two releases on one query: pairs, votes, and their count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from curation.models import Membership, Project, Query, Release, Unchangeable
from curation.releases import evaluation_report
from retrieval.models import Passage
from retrieval.search.results import Hit
from tests.challengers import create_challenger
from tuning.evaluation import preference_votes
from tuning.models import ComparisonPair, Evaluation, Vote


@pytest.fixture
def evaluation(release: Release) -> Evaluation:
    return create_challenger(release).evaluations.get()


@pytest.fixture
def pairs(evaluation: Evaluation, passages: dict[str, Passage]) -> list[ComparisonPair]:
    """Three pairs; the champion always finds the lion, the challenger the tiger."""
    lion, tiger = passages["lion"].pk, passages["tiger"].pk
    return [
        ComparisonPair.objects.create(
            evaluation=evaluation,
            query=query,
            champion={"passages": [lion], "answer": "The lion."},
            challenger={"passages": [tiger], "answer": "The tiger."},
        )
        for query in Query.objects.order_by("pk")
    ]


def hits(*ids: int) -> list[Hit]:
    return [Hit(passage_id, rank, 1.0) for rank, passage_id in enumerate(ids, start=1)]


def test_pairs_are_stored_only_where_the_sides_differ(evaluation: Evaluation, passages: dict[str, Passage]) -> None:
    one, two, three = (str(query.pk) for query in Query.objects.order_by("pk"))
    champion = {one: hits(1, 2), two: hits(1, 2), three: hits(1, 2, 3, 4, 5, 6)}
    challenger = {one: hits(2, 1), two: hits(1, 2), three: hits(1, 2, 3, 4, 5, 7)}
    written = ({two: "The Lion!", three: "A lion."}, {two: "lion", three: "A tiger."})
    assert preference_votes.save_pairs(evaluation, (champion, challenger), written) == 2
    assert [str(pair.query_id) for pair in evaluation.pairs.order_by("pk")] == [one, three]  # two: the same words
    # a second call, as after a lost worker, replaces them
    assert preference_votes.save_pairs(evaluation, (champion, challenger), written) == 2
    assert evaluation.pairs.count() == 2


def test_the_order_of_the_sides_is_random_for_each_person_and_pair_and_stays(
    pairs: list[ComparisonPair], alice: User, bob: User
) -> None:
    many = [ComparisonPair(pk=number) for number in range(400)]
    alices = [preference_votes.champion_is_a(pair, alice) for pair in many]
    assert 150 < sum(alices) < 250
    assert alices == [preference_votes.champion_is_a(pair, alice) for pair in many]
    assert alices != [preference_votes.champion_is_a(pair, bob) for pair in many]


def test_a_vote_for_side_a_counts_for_the_release_on_that_side(pairs: list[ComparisonPair], alice: User) -> None:
    for pair in pairs:
        vote = preference_votes.cast_vote(pair, alice, "a")
        is_champion = vote.choice == Vote.Choice.CHAMPION
        assert vote.champion_was_a is is_champion is preference_votes.champion_is_a(pair, alice)


def test_a_vote_cannot_be_changed(pairs: list[ComparisonPair], alice: User) -> None:
    vote = preference_votes.cast_vote(pairs[0], alice, "tie")
    with pytest.raises(preference_votes.AlreadyVoted):
        preference_votes.cast_vote(pairs[0], alice, "a")
    with pytest.raises(preference_votes.BadVote):
        preference_votes.cast_vote(pairs[1], alice, "champion")
    for change in (vote.save, vote.delete, Vote.objects.all().delete, lambda: Vote.objects.update(choice="tie")):
        with pytest.raises(Unchangeable):
            change()
    assert Vote.objects.get().choice == "tie"


def test_the_page_is_blind_before_the_vote(client: Client, bob: User, pairs: list[ComparisonPair]) -> None:
    client.force_login(bob)
    page = client.get("/p/zoo/side-by-side/").text
    assert "Who sings?" in page and "The lion." in page and "3 pairs left" in page
    assert "release 1" not in page and "release 2" not in page.lower()
    answer = client.post(f"/p/zoo/side-by-side/{pairs[0].pk}/vote/", {"choice": "a"}, follow=True)
    assert "Vote saved." in answer.text
    assert "release 1" in answer.text and "release 2" in answer.text
    assert "Who swims?" in client.get("/p/zoo/side-by-side/").text
    assert (
        "You have already voted on this pair."
        in client.post(f"/p/zoo/side-by-side/{pairs[0].pk}/vote/", {"choice": "b"}, follow=True).text
    )
    assert Vote.objects.count() == 1


def test_without_pairs_the_page_says_so(client: Client, bob: User, evaluation: Evaluation) -> None:
    client.force_login(bob)
    assert "No pairs to compare" in client.get("/p/zoo/side-by-side/?release=7").text


def test_curators_do_not_vote_and_strangers_find_nothing(
    client: Client, alice: User, carol: User, pairs: list[ComparisonPair]
) -> None:
    for person, status in ((alice, 403), (carol, 404)):
        client.force_login(person)
        assert client.get("/p/zoo/side-by-side/").status_code == status
        assert client.post(f"/p/zoo/side-by-side/{pairs[0].pk}/vote/", {"choice": "a"}).status_code == status
    assert not Vote.objects.exists()


def _people(project: Project) -> Iterator[User]:
    for number in range(3):
        user = User.objects.create_user(f"voter {number}")
        Membership.objects.create(project=project, user=user, role=Membership.Role.REVIEWER)
        yield user


def test_the_result_counts_queries_and_not_votes(
    client: Client, erin: User, project: Project, pairs: list[ComparisonPair], evaluation: Evaluation
) -> None:
    people = list(_people(project))
    choices = [["challenger", "challenger", "champion"], ["challenger", "tie", "neither"], ["champion", "challenger"]]
    for pair, pair_choices in zip(pairs, choices, strict=True):
        for person, choice in zip(people, pair_choices, strict=False):
            Vote.objects.create(pair=pair, voter=person, choice=choice, champion_was_a=True)
    votes = evaluation_report.count_votes(evaluation)
    assert votes is not None and votes.sign is not None
    assert (votes.votes, votes.people, votes.ties, votes.neither) == (8, 3, 1, 1)
    assert (votes.sign.wins, votes.sign.losses) == (2, 0)  # of the third query each side has one vote
    client.force_login(erin)
    page = client.get("/p/zoo/releases/2/").text
    assert "Release 2 was preferred for 2 queries, the other release for 0: 100%" in page
    assert "/p/zoo/side-by-side/?release=2" in page
