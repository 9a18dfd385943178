"""Quality page: right numbers from known work, a CSV file of each table, and managers only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from curation.annotation import claims, judgements
from curation.models import Assignment, Judgement, Project, Query, Ranking, Release
from curation.quality import quality_statistics

Wait = Callable[..., Query]


def judge(query: Query, person: User, grades: list[int | None], seconds: float = 4) -> Assignment:
    work = claims.claim(query, person)
    for passage_id, grade in zip(sorted(work.order), grades, strict=True):
        judgements.record(work, passage_id, grade, seconds=seconds)
    return judgements.submit(work).assignment


@pytest.fixture
def work(wait: Wait, alice: User, bob: User) -> Query:
    """Two people on three passages: equal, one apart, and one that Alice cannot tell."""
    query = wait(overlap=2)
    judge(query, alice, [0, 2, None], seconds=4)
    judge(query, bob, [0, 3, 1], seconds=10)
    return query


@pytest.fixture
def manager(client: Client, mona: User) -> Client:
    client.force_login(mona)
    return client


def test_grades_are_counted_by_person(project: Project, work: Query) -> None:
    table = quality_statistics.grade_histogram(project, quality_statistics.newest_grades(project))
    assert table.columns[1:] == ["All", "alice", "bob"]
    assert [row[1:] for row in table.rows] == [[2, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0, 1], [1, 1, 0]]


def test_the_median_leaves_out_unknown_times(project: Project, work: Query) -> None:
    grades = quality_statistics.newest_grades(project)
    assert quality_statistics.median_seconds(grades) == 7  # 4 4 4 10 10 10
    Judgement.objects.filter(curator__username="bob").update(active_seconds=0)
    assert quality_statistics.median_seconds(quality_statistics.newest_grades(project)) == 4
    assert quality_statistics.median_seconds([]) is None


def test_agreement_is_over_passages_that_two_have_graded(project: Project, work: Query) -> None:
    result = quality_statistics.agreement_of(quality_statistics.newest_grades(project))
    assert result.passages == 2 and result.alpha is not None and 0 < result.alpha < 1
    assert quality_statistics.agreement_of([]) == quality_statistics.Agreement(None, None, None, 0)


def test_two_people_are_compared_on_what_both_graded(project: Project, work: Query) -> None:
    ((pair, passages, kappa, low, high),) = quality_statistics.pairwise_agreement(
        quality_statistics.newest_grades(project)
    ).rows
    # alice 0 2, bob 0 3: (0-0)² + (2-3)² = 1 over 2; by chance (0 + 9 + 4 + 1) / 4 = 3.5; 1 - 0.5 / 3.5
    assert (pair, passages, kappa) == ("alice · bob", 2, 0.86)
    assert low <= kappa <= high  # type: ignore[operator]


def test_the_forecast_is_the_open_slots_at_the_rate_of_the_week(project: Project, work: Query, wait: Wait) -> None:
    for _query in range(3):
        wait()
    progress = quality_statistics.progress(project)
    assert (progress.open_slots, progress.per_day, progress.forecast) == (3, 2, 2)  # two on the first day: 3 / 2 = 1.5
    one = Assignment.objects.submitted().order_by("pk")[0]
    Assignment.objects.filter(pk=one.pk).update(submitted_at=timezone.now() - timedelta(days=2.5))
    assert quality_statistics.progress(project).per_day == 2 / 3
    Assignment.objects.filter(pk=one.pk).update(submitted_at=timezone.now() - timedelta(days=30))
    progress = quality_statistics.progress(project)
    assert (progress.per_day, progress.forecast) == (1 / 7, 21)
    Assignment.objects.submitted().update(submitted_at=timezone.now() - timedelta(days=8))
    assert quality_statistics.progress(project).forecast is None


def test_a_day_without_work_is_a_zero_and_not_a_gap(project: Project, work: Query) -> None:
    rows = quality_statistics.submissions_per_day(project).rows
    assert len(rows) == quality_statistics.DAYS and rows[-1][1] == 2 and rows[0][1] == 0


def test_coverage_is_the_judged_share_of_the_live_release_s_rankings(
    project: Project, work: Query, wait: Wait, release: Release
) -> None:
    assert quality_statistics.coverage(project) is None
    project.releases.update(judged_share=0.75)  # measured, and asked nothing yet
    assert quality_statistics.coverage(project) == 0.75
    wait(shown="lion otter snail")  # nobody has judged these three yet
    Ranking.objects.update(release=release)
    assert quality_statistics.coverage(project) == 0.5


def test_gold_accuracy_is_the_share_of_known_grades_of_each_person_and_week(
    project: Project, alice: User, bob: User, wait: Wait
) -> None:
    query = wait()
    known = sorted(query.rankings.get().shown.values_list("passage_id", flat=True))
    Query.objects.update(gold={str(known[0]): 1, str(known[1]): 2})
    Project.objects.update(gold_rate=1.0)
    project.refresh_from_db()
    for person, grade in ((alice, 1), (bob, 3)):
        held = claims.claim_next(project, person)
        assert held is not None
        for passage_id in held.order:
            judgements.record(held, passage_id, grade)
        judgements.submit(held)
    people = quality_statistics.annotator_statistics(project, quality_statistics.newest_grades(project))
    column = people.columns.index("Gold accuracy")
    assert [(row[0], row[column]) for row in people.rows] == [("alice", 0.5), ("bob", 0.0)]
    weeks = quality_statistics.gold_accuracy(project)
    ((week, *shares),) = weeks.rows
    assert weeks.columns[1:] == ["All", "alice", "bob"] and shares == [0.25, 0.5, 0.0]  # 1 of 4, 1 of 2, 0 of 2
    assert timezone.localdate().fromisoformat(str(week)).weekday() == 0


def test_the_agreement_of_each_person_has_its_interval(project: Project, work: Query) -> None:
    table = quality_statistics.annotator_statistics(project, quality_statistics.newest_grades(project))
    columns = [table.columns.index(name) for name in ("Low", "α with the others", "High")]
    for row in table.rows:
        low, middle, high = (row[column] for column in columns)
        assert low <= middle <= high  # type: ignore[operator]


def test_the_page_shows_every_table_and_each_has_its_csv(manager: Client, work: Query) -> None:
    html = manager.get(reverse("curation:quality", args=["zoo"])).content.decode()
    for name in ("throughput", "grades", "weeks", "people", "gold", "pairs"):
        address = reverse("curation:quality_csv", args=["zoo", name])
        assert address in html and (f'id="{name}-table"' in html or name == "gold")
        response = manager.get(address)
        assert response["Content-Type"].startswith("text/csv")
    assert "alice,3,4.0," in manager.get(reverse("curation:quality_csv", args=["zoo", "people"])).content.decode()


def test_an_empty_project_has_a_page_too(manager: Client) -> None:
    assert "No judgements yet" in manager.get(reverse("curation:quality", args=["zoo"])).content.decode()
    assert manager.get(reverse("curation:quality_csv", args=["zoo", "pairs"])).status_code == 200


def test_a_name_that_is_a_formula_stays_text(manager: Client, work: Query, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(username="=1+1")
    assert "'=1+1,3" in manager.get(reverse("curation:quality_csv", args=["zoo", "people"])).content.decode()


def test_the_number_of_database_queries_does_not_grow_with_the_judgements(
    manager: Client, work: Query, wait: Wait, alice: User, bob: User
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as counted:
            manager.get(reverse("curation:quality", args=["zoo"]))
        return len(counted)

    before = cost()
    judge(wait(overlap=2), alice, [1, 1, 1])
    assert cost() == before


@pytest.mark.parametrize("address", ["/p/zoo/quality/", "/p/zoo/quality/people.csv"])
def test_only_managers_may_open_it(client: Client, carol: User, bob: User, erin: User, address: str) -> None:
    for person, status in ((carol, 404), (bob, 403), (erin, 403)):
        client.force_login(person)
        assert client.get(address).status_code == status


def test_an_unknown_table_and_a_post_are_refused(manager: Client, project: Project) -> None:
    assert manager.get("/p/zoo/quality/secrets.csv").status_code == 404
    assert manager.post("/p/zoo/quality/").status_code == 405
