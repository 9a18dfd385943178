"""Label propagation: a settled grade is suggested for similar pairs, and counts once a person confirms it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from curation import tasks
from curation.annotation import claims, judgements
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
from curation.queries import evaluation_sample
from curation.review import adjudication
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
def _no_evaluation_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_sample, "EVALUATION_SHARE", 0.0)


def _judge(query: Query, person: User, grades: Mapping[str, int]) -> Assignment:
    claimed = claims.claim(query, person)
    names = dict(Passage.objects.filter(pk__in=claimed.order).values_list("pk", "external_id"))
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, grades[names[passage_id]])
    judgements.submit(claimed)
    return claimed


def _twins(corpus: Corpus) -> dict[str, Passage]:
    """Two passages that differ in one word, and one of their form that says something else."""
    texts = {"long": LONG, "twin": LONG.replace("evening", "afternoon"), "other": "Tigers: " + LONG[::-1]}
    ingest.ingest(
        corpus, [ingest.SourceDocument(name, "Feeding", text, {}) for name, text in texts.items()], whole=True
    )
    return {passage.external_id: passage for passage in corpus.passages.active()}


def _rank_again(query: Query, passages: Mapping[str, Passage], names: str) -> Ranking:
    ranking = Ranking.objects.create(query=query)
    for rank, name in enumerate(names.split(), start=1):
        ShownPassage.objects.create(ranking=ranking, passage=passages[name], rank=rank)
    Query.objects.filter(pk=query.pk).update(propagated_at=None)
    return ranking


def _suggestions(project: Project) -> set[tuple[str, str, int, str]]:
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


def test_a_near_duplicate_in_a_new_ranking_gets_the_grade_suggested(
    project: Project, twins: dict[str, Passage], alice: User, wait: Wait
) -> None:
    query = wait("When is the lion fed?", "lion")
    ranking = query.rankings.get()
    ShownPassage.objects.filter(ranking=ranking).update(passage=twins["long"])
    _judge(query, alice, {"long": 2})
    _rank_again(query, twins, "other twin long")
    assert label_propagation.propagate_grades(project) == 1
    assert _suggestions(project) == {("When is the lion fed?", "twin", 2, Kind.PASSAGE)}
    suggestion = project.suggested_grades.get()
    assert suggestion.from_passage == twins["long"] and 0.8 <= suggestion.similarity < 1
    assert label_propagation.propagate_grades(project) == 0


def test_a_paraphrase_gets_the_grades_of_the_passages_in_both_rankings(project: Project, paraphrased: Query) -> None:
    assert label_propagation.propagate_grades(project) == 2
    text = paraphrased.text
    assert _suggestions(project) == {(text, "snail", 3, Kind.QUERY), (text, "lion", 0, Kind.QUERY)}
    assert not Judgement.objects.filter(query=paraphrased).exists()


def test_the_periodic_task_propagates_grades(project: Project, paraphrased: Query) -> None:
    tasks.update_queue(project.pk)
    assert project.suggested_grades.waiting().count() == 2


def test_queries_with_different_numbers_are_different(project: Project, alice: User, wait: Wait) -> None:
    _judge(wait("What does a ticket cost in 2025?", "ticket"), alice, {"ticket": 3})
    wait("What does a ticket cost in 2026?", "ticket")
    wait("what does a ticket cost, in 2025", "ticket")
    assert label_propagation.propagate_grades(project) == 1


def test_two_different_grades_suggest_nothing(project: Project, alice: User, wait: Wait) -> None:
    for grade in (3, 1):
        _judge(wait("Who sleeps long?", "snail"), alice, {"snail": grade})
    wait("who sleeps long", "snail")
    assert label_propagation.propagate_grades(project) == 0


def test_the_evaluation_sample_neither_gives_nor_takes_and_gold_takes_nothing(
    project: Project, alice: User, wait: Wait
) -> None:
    _judge(wait("Who sleeps long?", "snail", is_evaluation=True), alice, {"snail": 3})
    wait("Who sleeps long!", "snail")
    assert label_propagation.propagate_grades(project) == 0
    _judge(wait("Who sings?", "whale"), alice, {"whale": 3})
    wait("who sings", "whale", is_evaluation=True), wait("Who sings!", "whale", gold={"1": 3})
    assert label_propagation.propagate_grades(project) == 0


def test_a_project_can_switch_label_propagation_off(project: Project, paraphrased: Query) -> None:
    Project.objects.update(propagates_grades=False)
    project.refresh_from_db()
    assert label_propagation.propagate_grades(project) == 0


def test_a_confirmed_grade_is_a_judgement_with_its_origin_and_fills_no_slot(
    project: Project, paraphrased: Query, alice: User, bob: User
) -> None:
    label_propagation.propagate_grades(project)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided(done=2)
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided()  # twice is once
    confirmed = Judgement.objects.submitted().filter(query=paraphrased)
    assert dict(confirmed.values_list("passage__external_id", "grade")) == {"snail": 3, "lion": 0}
    assert set(confirmed.values_list("curator", flat=True)) == {bob.pk}
    event = Event.objects.get(verb="confirmed_grade", passage__external_id="snail")
    assert event.actor == bob and event.data["grade"] == 3 and event.data["kind"] == Kind.QUERY
    assert Query.objects.get(pk=event.data["from_query"]).text == "Which animals sleep for three years?"
    paraphrased.refresh_from_db()
    assert paraphrased.state == Query.State.OPEN and paraphrased.assignments.open().count() == 1
    assert (
        quality_statistics.newest_grades(project)[0].query_id != paraphrased.pk
    )  # who saw it tells nothing of agreement


def test_a_confirmed_grade_counts_as_one_vote_of_the_consensus(
    project: Project, paraphrased: Query, mona: User, bob: User
) -> None:
    label_propagation.propagate_grades(project)
    suggestion_review.confirm(project, project.suggested_grades.values_list("pk", flat=True), bob)
    _judge(paraphrased, mona, {"snail": 3, "lion": 1, "whale": 0})
    review = paraphrased.reviews.get()
    settled = {row.passage.external_id: (row.grade, row.judges) for row in review.grades.all()}
    assert settled == {"snail": (3, 2), "lion": (0.5, 2), "whale": (0, 1)}


def test_in_a_settled_query_a_confirmed_grade_is_settled_until_it_is_undone(
    project: Project, twins: dict[str, Passage], alice: User, bob: User, wait: Wait
) -> None:
    query = wait("When is the lion fed?", "lion")
    ShownPassage.objects.filter(ranking__query=query).update(passage=twins["long"])
    _judge(query, alice, {"long": 2})
    _rank_again(query, twins, "twin long")
    label_propagation.propagate_grades(project)
    ids = [project.suggested_grades.get().pk]
    suggestion_review.confirm(project, ids, bob)
    settled = SettledGrade.objects.filter(review__query=query, passage=twins["twin"])
    assert settled.get().method == SettledGrade.Method.CONFIRMED and settled.get().grade == 2
    assert suggestion_review.undo(project, ids, bob) == suggestion_review.Decided(done=1)
    assert not settled.exists() and project.suggested_grades.get().state == State.WAITING
    withdrawn = Judgement.objects.get(query=query, passage=twins["twin"])
    assert withdrawn.withdrawn_at is not None
    assert Event.objects.filter(verb="took_back_grade", actor=bob).exists()
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided(done=1)
    assert settled.exists()


def test_a_rejected_grade_is_kept_and_not_suggested_again(project: Project, paraphrased: Query, bob: User) -> None:
    label_propagation.propagate_grades(project)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    assert suggestion_review.reject(project, ids, bob) == suggestion_review.Decided(done=2)
    Query.objects.update(propagated_at=None)
    assert label_propagation.propagate_grades(project) == 0
    assert set(project.suggested_grades.values_list("state", "decided_by")) == {(State.REFUSED, bob.pk)}
    assert not Judgement.objects.filter(query=paraphrased).exists()
    assert Event.objects.filter(verb="refused_grade", actor=bob).count() == 2


def test_a_passage_judged_in_the_meantime_overtakes_its_suggestion(
    project: Project, paraphrased: Query, alice: User, bob: User, mona: User
) -> None:
    label_propagation.propagate_grades(project)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    _judge(paraphrased, mona, {"snail": 1, "lion": 1, "whale": 0})
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided(overtaken=2)
    assert not Judgement.objects.filter(curator=bob).exists()


def test_a_reopened_source_or_an_edited_passage_overtakes_the_suggestion(
    project: Project, corpus: Corpus, paraphrased: Query, bob: User
) -> None:
    label_propagation.propagate_grades(project)
    snail, lion = (project.suggested_grades.get(passage__external_id=name) for name in ("snail", "lion"))
    changed = ingest.SourceDocument("lion", "Lion", ZOO["lion"] + " It yawns.", {})
    ingest.ingest(corpus, [changed], whole=True)
    assert suggestion_review.confirm(project, [lion.pk], bob) == suggestion_review.Decided(overtaken=1)
    adjudication.reopen(snail.from_query, bob)
    assert suggestion_review.confirm(project, [snail.pk], bob) == suggestion_review.Decided(overtaken=1)


def test_a_person_who_judges_the_query_does_not_decide_its_suggestions(
    project: Project, paraphrased: Query, bob: User
) -> None:
    label_propagation.propagate_grades(project)
    held = claims.claim(paraphrased, bob)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    assert suggestion_review.confirm(project, ids, bob) == suggestion_review.Decided(skipped=2)
    assert not Judgement.objects.filter(assignment=held).exists()


def test_confirmed_grades_are_no_submit_to_undo_and_do_not_count_for_the_daily_limit(
    project: Project, paraphrased: Query, bob: User, wait: Wait
) -> None:
    project.memberships.filter(user=bob).update(daily_quota=1)
    label_propagation.propagate_grades(project)
    suggestion_review.confirm(project, project.suggested_grades.values_list("pk", flat=True), bob)
    assignment = Assignment.objects.get(query=paraphrased, curator=bob)
    with pytest.raises(judgements.NotEditable):
        judgements.undo_submit(assignment)
    wait("Who swims?", "shark")
    assert claims.claim_next(project, bob) is not None


def test_suggestions_of_another_project_are_not_decided(project: Project, paraphrased: Query, bob: User) -> None:
    label_propagation.propagate_grades(project)
    other = Project.objects.create(slug="other", name="Other", corpus=project.corpus)
    ids = list(project.suggested_grades.values_list("pk", flat=True))
    assert suggestion_review.confirm(other, ids, bob) == suggestion_review.Decided()


def test_the_database_keeps_one_suggestion_a_pair_with_a_grade_of_0_to_3(project: Project, paraphrased: Query) -> None:
    label_propagation.propagate_grades(project)
    suggestion = project.suggested_grades.first()
    assert suggestion is not None
    suggestion.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        suggestion.save(force_insert=True)
    suggestion.grade = 4
    with pytest.raises(ValidationError):
        suggestion.full_clean()
