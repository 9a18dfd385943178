"""Several judgements become one: by consensus where people agree, by a reviewer where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from django.contrib.auth.models import User

from curation.annotation import assignments, judgements
from curation.core import labels
from curation.engine.statistics import agreement
from curation.models import Assignment, Event, Judgement, Project, Query, Review, SettledGrade
from curation.review import consensus

Wait = Callable[..., Query]
Judge = Callable[..., Assignment]


@pytest.fixture
def judge(project: Project) -> Judge:
    """A function: this person claims the query, gives these grades by rank, answers and submits."""

    def work(query: Query, user: User, grades: Sequence[int | None], answer: str = "", flag: str = "") -> Assignment:
        claimed = assignments.claim(query, user)
        shown = claimed.ranking.shown.order_by("rank").values_list("passage_id", flat=True)
        for passage_id, grade in zip(shown, grades, strict=True):
            judgements.record(claimed, passage_id, grade)
        if answer:
            judgements.write_answer(claimed, answer)
        if flag:
            judgements.flag(claimed, flag)
        return judgements.submit(claimed).assignment

    return work


def settled(query: Query) -> list[tuple[float, str, int]]:
    rows = SettledGrade.objects.filter(review__query=query, review__state=Review.State.SETTLED)
    ranks = dict(query.rankings.get().shown.values_list("passage_id", "rank"))
    return [(row.grade, row.method, row.judges) for row in sorted(rows, key=lambda row: ranks[row.passage_id])]


def test_one_curator_settles_alone(alice: User, wait: Wait, judge: Judge) -> None:
    query = wait()
    judge(query, alice, [3, 0, None], "The lion.")
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and query.settled_at is not None
    assert settled(query) == [(3.0, "sole", 1), (0.0, "sole", 1)]  # can't tell stays unjudged
    assert query.reviews.get().answer == "The lion."


def test_two_who_nearly_agree_give_their_median(alice: User, bob: User, wait: Wait, judge: Judge) -> None:
    query = wait(overlap=2)
    judge(query, alice, [3, 0, 1])
    query.refresh_from_db()
    assert query.state == Query.State.OPEN and not query.reviews.exists()
    judge(query, bob, [2, 0, 1])
    assert settled(query) == [(2.5, "median", 2), (0.0, "median", 2), (1.0, "median", 2)]
    reliability = SettledGrade.objects.filter(review__query=query).values_list("reliability", flat=True)
    assert sorted(reliability) == pytest.approx([2 / 3, 1.0, 1.0])  # 1 - |3 - 2| / 3


def test_grades_two_apart_go_to_a_reviewer(alice: User, bob: User, wait: Wait, judge: Judge) -> None:
    query = wait(overlap=2)
    judge(query, alice, [3, 0, 1])
    judge(query, bob, [1, 0, 1])
    query.refresh_from_db()
    review = query.reviews.get()
    assert (query.state, review.state) == (Query.State.IN_REVIEW, Review.State.WAITING)
    assert labels.why(review) == "Grades of one passage lie 2 apart."
    assert not SettledGrade.objects.exists()


def test_the_gap_that_matters_is_the_projects(
    project: Project, alice: User, bob: User, wait: Wait, judge: Judge
) -> None:
    Project.objects.update(review_gap=3)
    query = wait(overlap=2)
    judge(query, alice, [3, 0, 1])
    judge(query, bob, [1, 0, 1])
    assert settled(query)[0] == (2.0, "median", 2)


def test_three_are_weighed_by_dawid_and_skene(alice: User, bob: User, erin: User, wait: Wait, judge: Judge) -> None:
    query = wait(overlap=3)
    judge(query, alice, [3, 0, 1])
    judge(query, bob, [3, 0, 1])
    judge(query, erin, [3, 0, 2])
    grades = settled(query)
    assert {method for _grade, method, _judges in grades} == {"dawid_skene"}
    assert [round(grade) for grade, _method, _judges in grades] == [3, 0, 1]


def test_a_flag_goes_to_a_reviewer_with_its_comment(alice: User, wait: Wait, judge: Judge) -> None:
    query = wait()
    judge(query, alice, [3, 0, 1], flag="two questions in one")
    assert labels.why(query.reviews.get()) == "Flagged: two questions in one"


def test_people_who_differ_on_whether_there_is_an_answer_go_to_a_reviewer(
    alice: User, bob: User, wait: Wait, judge: Judge
) -> None:
    query = wait(overlap=2)
    judge(query, alice, [1, 0, 1], "The lion.")
    claimed = assignments.claim(query, bob)
    judgements.mark_unanswerable(claimed)
    judgements.submit(claimed)
    assert labels.why(query.reviews.get()) == "Some say the corpus holds no answer."


def test_answers_that_have_nothing_in_common_go_to_a_reviewer(alice: User, bob: User, wait: Wait, judge: Judge) -> None:
    query = wait(overlap=2)
    judge(query, alice, [1, 0, 1], "The lion, at night.")
    judge(query, bob, [1, 0, 1], "Every zebra.")
    assert labels.why(query.reviews.get()) == "The answers differ."


def test_a_reviewer_settles_and_what_they_leave_out_keeps_the_consensus(
    alice: User, bob: User, erin: User, wait: Wait, judge: Judge
) -> None:
    query = wait(overlap=2)
    judge(query, alice, [3, 0, 1])
    judge(query, erin, [1, 0, 1])
    review = query.reviews.get()
    disputed = query.rankings.get().shown.get(rank=1).passage_id
    done = consensus.settle(review, bob, {disputed: 2}, "The lion.", comment="half of it", key="r1")
    assert consensus.settle(review, bob, {disputed: 3}, key="r1") == done
    assert settled(query) == [(2.0, "reviewer", 3), (0.0, "median", 2), (1.0, "median", 2)]
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and (done.answer, done.reviewer) == ("The lion.", bob)
    with pytest.raises(consensus.AlreadyDecided):
        consensus.settle(review, bob, {disputed: 0})


def test_returned_work_comes_back_with_the_comment_and_is_considered_anew(
    project: Project, alice: User, bob: User, erin: User, wait: Wait, judge: Judge
) -> None:
    query = wait(overlap=2)
    first = judge(query, alice, [3, 0, 1])
    judge(query, erin, [1, 0, 1])
    consensus.return_to_curator(query.reviews.get(), bob, first, "Read passage one again.")
    query.refresh_from_db()
    assert query.state == Query.State.OPEN
    back = assignments.claim_next(project, alice)
    assert back == first and back.comment == "Read passage one again." and back.lease_until is None
    assert assignments.expire() == 0  # it waits for its curator
    judgements.record(back, query.rankings.get().shown.get(rank=1).passage_id, 1)
    judgements.submit(back)
    assert settled(query)[0] == (1.0, "median", 2)
    assert [review.state for review in query.reviews.order_by("pk")] == ["returned", "settled"]


def test_judges_are_known_from_what_was_settled_last(
    project: Project, alice: User, bob: User, erin: User, wait: Wait, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consensus, "CONTEXT_QUERIES", 1)
    seen: list[int] = []
    weigh = agreement.consensus

    def look(votes: Sequence[agreement.Vote], context: Sequence[agreement.Vote] = ()) -> object:
        seen.append(len(context))
        return weigh(votes, context)

    monkeypatch.setattr(agreement, "consensus", look)
    for _query in range(3):
        query = wait(overlap=3)
        for person in (alice, bob, erin):
            judge(query, person, [3, 0, 1])
    assert seen == [0, 9, 9]  # three grades by three people of one query, however many are settled


def test_work_of_another_query_cannot_be_returned(alice: User, bob: User, erin: User, wait: Wait, judge: Judge) -> None:
    one, other = wait(overlap=2), wait()
    judge(one, alice, [3, 0, 1])
    judge(one, erin, [0, 0, 1])
    theirs = judge(other, alice, [1, 1, 1])
    with pytest.raises(consensus.NotReturnable):
        consensus.return_to_curator(one.reviews.get(), bob, theirs, "no")
    assert one.reviews.get().state == Review.State.WAITING


def test_a_reviewer_opens_a_settled_query_again_and_the_old_review_stays(
    alice: User, bob: User, wait: Wait, judge: Judge
) -> None:
    query = wait()
    judge(query, alice, [3, 0, 1], "The lion.")
    with_settled = query.reviews.get()
    review = consensus.reopen(query, bob, "the page has changed")
    with_settled.refresh_from_db()
    assert (with_settled.state, with_settled.grades.count()) == (Review.State.REOPENED, 3)
    assert (review.state, review.answer) == (Review.State.WAITING, "The lion.")
    assert labels.why(review) == "Opened again: the page has changed"
    query.refresh_from_db()
    assert query.state == Query.State.IN_REVIEW and query.settled_at is None
    with pytest.raises(consensus.NotSettled):
        consensus.reopen(query, bob)


def test_a_settled_query_can_become_gold(alice: User, bob: User, wait: Wait, judge: Judge, project: Project) -> None:
    query = wait()
    judge(query, alice, [3, 0, 1])
    consensus.make_gold(query, bob)
    project.gold_rate = 1.0
    claimed = assignments.claim_next(project, bob)
    assert claimed is not None and claimed.query == query
    for passage_id in claimed.order:
        judgements.record(claimed, passage_id, int(query.gold[str(passage_id)]))
    judgements.submit(claimed)
    assert Event.objects.filter(verb="submitted").latest("pk").data["gold"] == {"known": 3, "right": 3, "near": 3}
    query.refresh_from_db()
    assert query.state == Query.State.SETTLED and query.reviews.count() == 1


def test_considering_many_takes_as_many_statements_as_considering_one(
    project: Project, alice: User, wait: Wait, django_assert_max_num_queries: Callable[..., object]
) -> None:
    queries = [wait() for _number in range(12)]
    for query in queries:
        claimed = assignments.claim(query, alice)
        Judgement.objects.bulk_create(
            Judgement(assignment=claimed, query=query, passage_id=pk, curator=alice, grade=1) for pk in claimed.order
        )
        Assignment.objects.filter(pk=claimed.pk).update(state=Assignment.State.SUBMITTED)
    with django_assert_max_num_queries(10):
        reviews = consensus.consider_many(project, queries)
    assert len(reviews) == 12 and SettledGrade.objects.count() == 36
