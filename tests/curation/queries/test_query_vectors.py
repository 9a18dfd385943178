"""Query vectors find queries of the same meaning; a worker embeds them, and no claim waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from curation import tasks
from curation.annotation import claims, judgements
from curation.models import Project, Query, QueryVector, Release, SuggestedGrade
from curation.propagation import label_propagation
from curation.queries import evaluation_sample, query_vectors
from retrieval.models import Encoder, Passage
from tests.conftest import PASSWORD

Wait = Callable[..., Query]
Kind = SuggestedGrade.Kind
# the keyword encoder sees the same three words in both; of their runs of three characters few are shared
ZOO_QUERIES, AGAIN = "Do you know whether the lion hunts?", "Please tell me: hunts the lion?"


@pytest.fixture(autouse=True)
def _no_evaluation_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_sample, "EVALUATION_SHARE", 0.0)


@pytest.fixture
def judge(alice: User, passages: Mapping[str, Passage]) -> Callable[[Query, Mapping[str, int]], None]:
    """A function that has Alice grade a query's passages, which settles it."""

    def settle(query: Query, grades: Mapping[str, int]) -> None:
        claimed = claims.claim(query, alice)
        for name, grade in grades.items():
            judgements.record(claimed, passages[name].pk, grade)
        judgements.submit(claimed)

    return settle


@pytest.fixture
def asked_twice(project: Project, release: Release, wait: Wait, judge: Callable[..., None]) -> tuple[Query, Query]:
    """A settled query and one of the same meaning, of the same passages."""
    first, second = wait(ZOO_QUERIES, "lion snail"), wait(AGAIN, "lion snail")
    judge(first, {"lion": 3, "snail": 0})
    return first, second


def _suggestions(project: Project) -> set[tuple[str, str, int, str]]:
    rows = project.suggested_grades.waiting()
    return set(rows.values_list("query__text", "passage__external_id", "grade", "kind"))


def test_a_paraphrase_in_other_words_gets_the_grades_suggested(
    project: Project, asked_twice: tuple[Query, Query]
) -> None:
    tasks.update_queue(project.pk)
    assert _suggestions(project) == {(AGAIN, "lion", 3, Kind.MEANING), (AGAIN, "snail", 0, Kind.MEANING)}
    assert project.suggested_grades.all()[0].similarity >= label_propagation.MIN_MEANING_SIMILARITY


def test_without_an_encoder_words_decide_and_the_queries_are_due_again_once_embedded(
    project: Project, wait: Wait, judge: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    first, _second = wait(ZOO_QUERIES, "lion snail"), wait(AGAIN, "lion snail")
    wait(ZOO_QUERIES.lower(), "lion")
    judge(first, {"lion": 3, "snail": 0})
    label_propagation.propagate_grades(project)
    assert _suggestions(project) == {(ZOO_QUERIES.lower(), "lion", 3, Kind.QUERY)}
    request.getfixturevalue("release")
    wait("Where is the lion?", "lion")  # one more of the subject
    label_propagation.propagate_grades(project)
    label_propagation.propagate_grades(project)
    assert (AGAIN, "lion", 3, Kind.MEANING) in _suggestions(project)


def test_the_page_names_the_query_of_the_same_meaning(
    client, bob: User, project: Project, asked_twice: tuple[Query, Query]
) -> None:  # type: ignore[no-untyped-def]
    tasks.update_queue(project.pk)
    client.login(username=bob.username, password=PASSWORD)
    page = client.get("/p/zoo/suggested-grades/").content.decode()
    assert "for a query with the same meaning (100% similar):" in page and ZOO_QUERIES in page


def test_another_number_or_another_subject_makes_another_question(
    project: Project, release: Release, wait: Wait, judge: Callable[..., None]
) -> None:
    judge(wait(f"{ZOO_QUERIES} In 2025?", "lion snail"), {"lion": 3, "snail": 0})
    wait(f"In 2026: {AGAIN}", "lion snail")
    wait(f"{AGAIN} In 2025?", "snail lion")  # found another document first
    tasks.update_queue(project.pk)
    assert QueryVector.objects.count() == 3 and _suggestions(project) == set()


def test_a_project_that_passes_nothing_on_pays_for_no_vectors(
    project: Project, asked_twice: tuple[Query, Query]
) -> None:
    Project.objects.update(propagates_grades=False)
    tasks.update_queue(project.pk)
    assert not QueryVector.objects.exists()


def test_the_evaluation_sample_gets_no_vector_and_nobody_gets_two(
    project: Project, release: Release, wait: Wait
) -> None:
    wait(ZOO_QUERIES, is_evaluation=True), wait(AGAIN)
    assert [query_vectors.embed_missing(project, list(project.queries.all())) for _again in range(2)] == [1, 0]


def test_only_vectors_of_one_encoder_and_of_the_text_as_it_is_are_compared(
    project: Project, asked_twice: tuple[Query, Query]
) -> None:
    first, second = asked_twice
    query_vectors.embed_missing(project, asked_twice)
    assert query_vectors.cosine_similarities(first, [second])[second.pk] == pytest.approx(1, abs=1e-3)
    other = Encoder.objects.create(
        name="other", query_path="x", passage_path="x", query_hash="x", passage_hash="x", dim=3
    )
    QueryVector.objects.filter(query=second).update(encoder=other)
    assert query_vectors.cosine_similarities(first, [second]) == {}
    assert query_vectors.embed_missing(project, asked_twice) == 1  # the one of the other encoder
    second.text = "Who sings songs?"
    second.save()
    assert query_vectors.cosine_similarities(first, [second]) == {}
    assert query_vectors.embed_missing(project, asked_twice) == 1
    assert query_vectors.cosine_similarities(first, [second])[second.pk] == pytest.approx(0, abs=1e-3)


def test_a_claim_reads_no_query_vectors(project: Project, asked_twice: tuple[Query, Query], alice: User) -> None:
    query_vectors.embed_missing(project, asked_twice)
    with CaptureQueriesContext(connection) as seen:
        assert claims.claim_next(project, alice) is not None
    assert not [one for one in seen if QueryVector._meta.db_table in one["sql"]]
