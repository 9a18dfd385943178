"""A grade that was settled once is offered to what is like it, and counts when a person has confirmed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from curation import tasks
from curation.annotation import assignments, judgements
from curation.models import (
    Assignment,
    Event,
    Judgement,
    Project,
    Query,
    Ranking,
    SettledGrade,
    ShownPassage,
    SuggestedGrade,
)
from curation.propagation import label_propagation, suggestion_review
from curation.quality import quality_statistics
from curation.queries import intake
from curation.review import consensus
from retrieval.documents import ingest
from retrieval.models import Corpus, Passage
from tests.conftest import ZOO

Wait = Callable[..., Query]
State, Kind = SuggestedGrade.State, SuggestedGrade.Kind
LONG = (
    "The lion sleeps most of the day and hunts at night, and when the keepers come with the meat in the evening it "
    "wakes up, stretches, and walks to the gate. Children may watch from the bridge until six, and at night nobody may."
)


@pytest.fixture(autouse=True)
def _nobody_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "EVALUATION_SHARE", 0.0)


def _judge(query: Query, person: User, grades: Mapping[str, int]) -> Assignment:
    claimed = assignments.claim(query, person)
    names = dict(Passage.objects.filter(pk__in=claimed.order).values_list("pk", "external_id"))
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, grades[names[passage_id]])
    judgements.submit(claimed)
    return claimed


def _twins(corpus: Corpus) -> dict[str, Passage]:
    """Two passages that differ in one word, and one of their form that says something else."""
    texts = {"long": LONG, "twin": LONG.replace("evening", "afternoon"), "other": "Tigers: " + LONG[::-1]}
    ingest.ingest(corpus, [ingest.Source(name, "Feeding", text, {}) for name, text in texts.items()], whole=True)
    return {passage.external_id: passage for passage in corpus.passages.active()}


def _rank_anew(query: Query, passages: Mapping[str, Passage], names: str) -> Ranking:
    ranking = Ranking.objects.create(query=query)
    for rank, name in enumerate(names.split(), start=1):
        ShownPassage.objects.create(ranking=ranking, passage=passages[name], rank=rank)
    Query.objects.filter(pk=query.pk).update(propagated_at=None)
    return ranking


def _offers(project: Project) -> set[tuple[str, str, int, str]]:
    rows = project.suggested_grades.waiting()
    return set(rows.values_list("query__text", "passage__external_id", "grade", "kind"))


@pytest.fixture
def twins(corpus: Corpus) -> dict[str, Passage]:
    return _twins(corpus)


@pytest.fixture
def paraphrased(project: Project, alice: User, wait: Wait) -> Query:
    """A settled query, and one that asks the same in nearly the same words, of two of the same passages."""
    _judge(wait("Which animals sleep for three years?", "snail lion crow"), alice, {"snail": 3, "lion": 0, "crow": 1})
    return wait("Which animal sleeps for three years?", "snail lion whale")


def test_a_near_duplicate_in_a_new_ranking_is_offered_the_grade(
    project: Project, twins: dict[str, Passage], alice: User, wait: Wait
) -> None:
    query = wait("When is the lion fed?", "lion")
    ranking = query.rankings.get()
    ShownPassage.objects.filter(ranking=ranking).update(passage=twins["long"])
    _judge(query, alice, {"long": 2})
    _rank_anew(query, twins, "other twin long")
    assert label_propagation.offer_all(project) == 1
    assert _offers(project) == {("When is the lion fed?", "twin", 2, Kind.PASSAGE)}
    offer = project.suggested_grades.get()
    assert offer.from_passage == twins["long"] and 0.8 <= offer.similarity < 1
    assert label_propagation.offer_all(project) == 0


def test_a_paraphrase_is_offered_the_grades_of_the_passages_both_found(project: Project, paraphrased: Query) -> None:
    assert label_propagation.offer_all(project) == 2
    text = paraphrased.text
    assert _offers(project) == {(text, "snail", 3, Kind.QUERY), (text, "lion", 0, Kind.QUERY)}
    assert not Judgement.objects.filter(query=paraphrased).exists()


def test_the_sweep_passes_on_by_itself(project: Project, paraphrased: Query) -> None:
    tasks.take_up(project.pk)
    assert project.suggested_grades.waiting().count() == 2


def test_another_number_makes_another_question(project: Project, alice: User, wait: Wait) -> None:
    _judge(wait("What does a ticket cost in 2025?", "ticket"), alice, {"ticket": 3})
    wait("What does a ticket cost in 2026?", "ticket")
    wait("what does a ticket cost, in 2025", "ticket")
    assert label_propagation.offer_all(project) == 1


def test_what_was_graded_in_two_ways_is_not_passed_on(project: Project, alice: User, wait: Wait) -> None:
    for grade in (3, 1):
        _judge(wait("Who sleeps long?", "snail"), alice, {"snail": grade})
    wait("who sleeps long", "snail")
    assert label_propagation.offer_all(project) == 0


def test_the_evaluation_sample_neither_gives_nor_takes_and_gold_takes_nothing(
    project: Project, alice: User, wait: Wait
) -> None:
    _judge(wait("Who sleeps long?", "snail", is_evaluation=True), alice, {"snail": 3})
    wait("Who sleeps long!", "snail")
    assert label_propagation.offer_all(project) == 0
    _judge(wait("Who sings?", "whale"), alice, {"whale": 3})
    wait("who sings", "whale", is_evaluation=True), wait("Who sings!", "whale", gold={"1": 3})
    assert label_propagation.offer_all(project) == 0


def test_a_project_may_want_none_of_it(project: Project, paraphrased: Query) -> None:
    Project.objects.update(propagates_grades=False)
    project.refresh_from_db()
    assert label_propagation.offer_all(project) == 0


def test_a_confirmed_grade_is_a_judgement_with_its_origin_and_fills_no_slot(
    project: Project, paraphrased: Query, alice: User, bob: User
) -> None:
    label_propagation.offer_all(project)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided(done=2)
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided()  # twice is once
    given = Judgement.objects.submitted().filter(query=paraphrased)
    assert dict(given.values_list("passage__external_id", "grade")) == {"snail": 3, "lion": 0}
    assert set(given.values_list("curator", flat=True)) == {bob.pk}
    event = Event.objects.get(verb="confirmed_grade", passage__external_id="snail")
    assert event.actor == bob and event.data["grade"] == 3 and event.data["kind"] == Kind.QUERY
    assert Query.objects.get(pk=event.data["from_query"]).text == "Which animals sleep for three years?"
    paraphrased.refresh_from_db()
    assert paraphrased.state == Query.State.OPEN and paraphrased.assignments.open().count() == 1
    assert (
        quality_statistics.newest_grades(project)[0].query_id != paraphrased.pk
    )  # who saw it tells nothing of agreement


def test_a_confirmed_grade_is_one_voice_when_the_query_is_settled(
    project: Project, paraphrased: Query, mona: User, bob: User
) -> None:
    label_propagation.offer_all(project)
    suggestion_review.confirm(project, project.suggested_grades.values_list("pk", flat=True), bob)
    _judge(paraphrased, mona, {"snail": 3, "lion": 1, "whale": 0})
    review = paraphrased.reviews.get()
    found = {row.passage.external_id: (row.grade, row.judges) for row in review.grades.all()}
    assert found == {"snail": (3, 2), "lion": (0.5, 2), "whale": (0, 1)}


def test_in_a_settled_query_a_confirmed_grade_is_settled_until_it_is_taken_back(
    project: Project, twins: dict[str, Passage], alice: User, bob: User, wait: Wait
) -> None:
    query = wait("When is the lion fed?", "lion")
    ShownPassage.objects.filter(ranking__query=query).update(passage=twins["long"])
    _judge(query, alice, {"long": 2})
    _rank_anew(query, twins, "twin long")
    label_propagation.offer_all(project)
    ids = [project.suggested_grades.get().pk]
    suggestion_review.confirm(project, ids, bob)
    settled = SettledGrade.objects.filter(review__query=query, passage=twins["twin"])
    assert settled.get().method == SettledGrade.Method.CONFIRMED and settled.get().grade == 2
    assert suggestion_review.take_back(project, ids, bob) == suggestion_review.Decided(done=1)
    assert not settled.exists() and project.suggested_grades.get().state == State.WAITING
    withdrawn = Judgement.objects.get(query=query, passage=twins["twin"])
    assert withdrawn.withdrawn_at is not None
    assert Event.objects.filter(verb="took_back_grade", actor=bob).exists()
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided(done=1)
    assert settled.exists()


def test_a_refused_grade_is_kept_and_not_offered_again(project: Project, paraphrased: Query, bob: User) -> None:
    label_propagation.offer_all(project)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    assert suggestion_review.refuse(project, ids, bob) == suggestion_review.Decided(done=2)
    Query.objects.update(propagated_at=None)
    assert label_propagation.offer_all(project) == 0
    assert set(project.suggested_grades.values_list("state", "decided_by")) == {(State.REFUSED, bob.pk)}
    assert not Judgement.objects.filter(query=paraphrased).exists()
    assert Event.objects.filter(verb="refused_grade", actor=bob).count() == 2


def test_what_somebody_judged_meanwhile_is_overtaken(
    project: Project, paraphrased: Query, alice: User, bob: User, mona: User
) -> None:
    label_propagation.offer_all(project)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    _judge(paraphrased, mona, {"snail": 1, "lion": 1, "whale": 0})
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided(overtaken=2)
    assert not Judgement.objects.filter(curator=bob).exists()


def test_a_source_that_was_opened_again_or_a_text_that_changed_passes_nothing_on(
    project: Project, corpus: Corpus, paraphrased: Query, bob: User
) -> None:
    label_propagation.offer_all(project)
    snail, lion = (project.suggested_grades.get(passage__external_id=name) for name in ("snail", "lion"))
    changed = ingest.Source("lion", "Lion", ZOO["lion"] + " It yawns.", {})
    ingest.ingest(corpus, [changed], whole=True)
    assert suggestion_review.confirm(project, [lion.pk], bob) == suggestion_review.Decided(overtaken=1)
    consensus.reopen(snail.from_query, bob)
    assert suggestion_review.confirm(project, [snail.pk], bob) == suggestion_review.Decided(overtaken=1)


def test_who_judges_the_query_does_not_decide_on_it(project: Project, paraphrased: Query, bob: User) -> None:
    label_propagation.offer_all(project)
    held = assignments.claim(paraphrased, bob)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided(left=2)
    assert not Judgement.objects.filter(assignment=held).exists()


def test_a_confirmed_turn_is_no_submit_to_take_back_and_counts_to_no_quota(
    project: Project, paraphrased: Query, bob: User, wait: Wait
) -> None:
    project.memberships.filter(user=bob).update(daily_quota=1)
    label_propagation.offer_all(project)
    suggestion_review.confirm(project, project.suggested_grades.values_list("pk", flat=True), bob)
    turn = Assignment.objects.get(query=paraphrased, curator=bob)
    with pytest.raises(judgements.NotInHand):
        judgements.undo_submit(turn)
    wait("Who swims?", "shark")
    assert assignments.claim_next(project, bob) is not None


def test_another_projects_grades_are_not_decided(project: Project, paraphrased: Query, bob: User) -> None:
    label_propagation.offer_all(project)
    other = Project.objects.create(slug="other", name="Other", corpus=project.corpus)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    assert suggestion_review.confirm(other, ids, bob) == suggestion_review.Decided()


def test_a_pair_is_offered_one_grade_and_a_grade_is_0_to_3(project: Project, paraphrased: Query) -> None:
    label_propagation.offer_all(project)
    offer = project.suggested_grades.first()
    assert offer is not None
    offer.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        offer.save(force_insert=True)
    offer.grade = 4
    with pytest.raises(ValidationError):
        offer.full_clean()
