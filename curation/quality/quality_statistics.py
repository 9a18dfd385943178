"""Quality statistics: progress, speed, inter-annotator agreement, coverage and gold accuracy of a project.

Read only, with a number of database queries that does not grow with the project. Statistics of single grades use
the newest MAX_GRADES of them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations
from statistics import median

import numpy as np
from django.db.models import Count, Exists, OuterRef
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from curation.engine.statistics import agreement
from curation.engine.statistics.agreement import Vote
from curation.models import Assignment, Event, Judgement, Project, Query, Release, SettledGrade, ShownPassage

MAX_GRADES = 20_000
DAYS = 28
RATE_DAYS = 7
WEEKS = 8
COVERAGE_DEPTH = 10

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A table of the page, its chart and its CSV file. The first column is the name of the row."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Progress:
    """Progress of a project.

    per_day: mean submissions per day over the last RATE_DAYS, or since the first submission where that is shorter.
    forecast: days until no slot is open at this rate, rounded up; None without submissions.
    """

    settled: int
    queries: int
    open_slots: int
    in_review: int
    per_day: float
    forecast: int | None
    last_at: datetime | None


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's ordinal α with its 95 % interval, over passages with two or more grades. None: undefined."""

    alpha: float | None
    low: float | None
    high: float | None
    passages: int


@dataclass(frozen=True)
class GradeRow:
    """One submitted judgement. grade: None for can't tell."""

    query_id: int
    passage_id: int
    curator_id: int
    curator: str
    grade: int | None
    seconds: float
    at: datetime


@dataclass(frozen=True)
class GoldResult:
    """One person's grades of one gold question: passages with a known grade, and how many of them got it."""

    person: str
    at: datetime
    known: int
    right: int


def progress(project: Project) -> Progress:
    """Return the progress of the project, and the forecast of its end."""
    states = dict(project.queries.values_list("state").annotate(Count("pk")).order_by())
    work = Assignment.objects.filter(project=project, is_extra=False)
    now = timezone.now()
    since = now - timedelta(days=RATE_DAYS)
    first = work.submitted().order_by("submitted_at").values_list("submitted_at", flat=True).first()
    days = min(RATE_DAYS, max(1, math.ceil((now - first) / timedelta(days=1)))) if first else RATE_DAYS
    per_day = work.submitted().filter(submitted_at__gte=since).count() / days
    left = work.filter(state__in=[Assignment.State.OPEN, Assignment.State.CLAIMED]).count()
    last = work.submitted().order_by("-submitted_at").values_list("submitted_at", flat=True).first()
    return Progress(
        settled=states.get(Query.State.SETTLED, 0),
        queries=sum(states.values()),
        open_slots=left,
        in_review=states.get(Query.State.IN_REVIEW, 0),
        per_day=per_day,
        forecast=math.ceil(left / per_day) if per_day else None,
        last_at=last,
    )


def newest_grades(project: Project) -> list[GradeRow]:
    """Return the newest submitted judgements, newest first, extras and gold questions included.

    Confirmed suggested grades are left out: the person has seen the suggestion, so it is no independent grade.
    """
    rows = Judgement.objects.submitted().filter(query__project=project, origin=None).order_by("-pk")
    fields = ("query_id", "passage_id", "curator_id", "curator__username", "grade", "active_seconds", "created_at")
    return [GradeRow(*row) for row in rows.values_list(*fields)[:MAX_GRADES]]


def median_seconds(grades: Iterable[GradeRow]) -> float | None:
    """Return the median of the active seconds per passage; None where no time is known."""
    known = [grade.seconds for grade in grades if grade.seconds > 0]
    return median(known) if known else None


def agreement_of(grades: Sequence[GradeRow], *, resamples: int = 200) -> Agreement:
    """Return α of these grades. Can't tell counts as no grade."""
    _judges, _items, ratings = agreement.rating_matrix(_votes(grades))
    paired = int(((~np.isnan(ratings)).sum(axis=0) >= 2).sum()) if ratings.size else 0
    if not paired:
        return Agreement(None, None, None, 0)
    low, high = (
        agreement.krippendorff_alpha_interval(ratings, resamples=resamples) if resamples else (math.nan, math.nan)
    )
    return Agreement(_number(agreement.krippendorff_alpha(ratings)), _number(low), _number(high), paired)


def coverage(project: Project) -> float | None:
    """Return judged@10 of the live release: the share of its first ten passages that have a grade.

    Before its first query: the judged@10 of its evaluation. None without either.
    """
    top = ShownPassage.objects.filter(
        ranking__release__project=project,
        ranking__release__state=Release.State.LIVE,
        rank__lte=COVERAGE_DEPTH,
        added_by=None,
    )
    pair = {"passage_id": OuterRef("passage_id")}
    submitted = Judgement.objects.submitted().filter(query_id=OuterRef("ranking__query_id"), **pair)
    settled = SettledGrade.objects.filter(
        review__query_id=OuterRef("ranking__query_id"), review__state="settled", **pair
    )
    total = top.count()
    if total:
        return top.filter(Exists(submitted) | Exists(settled)).count() / total
    return project.releases.live().values_list("judged_share", flat=True).first()


def submissions_per_day(project: Project) -> Table:
    """Return the number of submissions on each of the last DAYS days; 0 on a day without any."""
    today = timezone.localdate()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    since = timezone.now() - timedelta(days=DAYS)
    rows = Assignment.objects.submitted().filter(project=project, submitted_at__gte=since)
    rows = rows.exclude(selection=Assignment.Selection.CONFIRMED)
    counted = dict(rows.annotate(day=TruncDate("submitted_at")).values_list("day").annotate(Count("pk")).order_by())
    table: list[list[Cell]] = [[day.isoformat(), counted.get(day, 0)] for day in days]
    return Table("throughput", _("Submissions per day"), [_("Day"), _("Submissions")], table)


def grade_histogram(project: Project, grades: Sequence[GradeRow]) -> Table:
    """Return how often each grade was given, by all and by each person."""
    people = sorted({grade.curator for grade in grades})
    counted = Counter((grade.curator, grade.grade) for grade in grades)
    labels: list[tuple[int | None, str]] = [(int(g["grade"]), f"{g['grade']} {_(g['label'])}") for g in project.grades]
    labels.append((None, _("Can't tell")))
    rows: list[list[Cell]] = []
    for value, label in labels:
        each = [counted[person, value] for person in people]
        rows.append([label, sum(each), *each])
    return Table("grades", _("Grades given"), [_("Grade"), _("All"), *people], rows)


def annotator_statistics(project: Project, grades: Sequence[GradeRow]) -> Table:
    """Return for each person: judgements, median seconds, agreement with the others, gold accuracy, last day."""
    by_person = defaultdict(list)
    for grade in grades:
        by_person[grade.curator].append(grade)
    gold = _accuracy_by_person(_gold_results(project))
    rows: list[list[Cell]] = []
    for person, own in sorted(by_person.items()):
        pairs = {(grade.query_id, grade.passage_id) for grade in own}
        shared = [grade for grade in grades if (grade.query_id, grade.passage_id) in pairs]
        seconds = median_seconds(own)
        last = timezone.localtime(max(grade.at for grade in own)).date().isoformat()
        figures = [_round(seconds, 1), *_figures(agreement_of(shared)), _round(gold.get(person), 2)]
        rows.append([person, len(own), *figures, last])
    columns = [_("Annotator"), _("Judgements"), _("Median seconds"), _("α with the others"), _("Low"), _("High")]
    columns += [_("Gold accuracy"), _("Last judged")]
    return Table("people", _("Annotators"), columns, rows)


def pairwise_agreement(grades: Sequence[GradeRow]) -> Table:
    """Return the quadratic-weighted κ of every two people on the passages that both graded."""
    by_person: dict[str, dict[tuple[int, int], int]] = defaultdict(dict)
    for grade in grades:
        if grade.grade is not None:
            by_person[grade.curator][grade.query_id, grade.passage_id] = grade.grade
    rows: list[list[Cell]] = []
    for one, other in combinations(sorted(by_person), 2):
        both = sorted(by_person[one].keys() & by_person[other].keys())
        if both:
            first = np.array([by_person[one][item] for item in both])
            second = np.array([by_person[other][item] for item in both])
            figures = [agreement.cohen_kappa(first, second), *agreement.cohen_kappa_interval(first, second)]
            rows.append([f"{one} · {other}", len(both), *[_round(_number(value), 2) for value in figures]])
    columns = [_("Pair"), _("Passages"), _("Weighted κ"), _("Low"), _("High")]
    return Table("pairs", _("Pairwise agreement"), columns, rows)


def weekly_agreement(grades: Sequence[GradeRow]) -> Table:
    """Return α of each of the last WEEKS weeks with grades, with its interval."""
    by_week: dict[date, list[GradeRow]] = defaultdict(list)
    for grade in grades:
        by_week[_week(grade.at)].append(grade)
    rows: list[list[Cell]] = []
    for week in sorted(by_week)[-WEEKS:]:
        agreement = agreement_of(by_week[week])
        rows.append([week.isoformat(), *_figures(agreement), agreement.passages])
    columns = [_("Week of"), _("α"), _("Low"), _("High"), _("Passages")]
    return Table("weeks", _("Agreement by week"), columns, rows)


def gold_accuracy(project: Project) -> Table:
    """Return the share of known grades that all and each person gave right, week by week."""
    by_week: dict[date, list[GoldResult]] = defaultdict(list)
    for result in _gold_results(project):
        by_week[_week(result.at)].append(result)
    names = sorted({result.person for results in by_week.values() for result in results})
    rows: list[list[Cell]] = []
    for week in sorted(by_week)[-WEEKS:]:
        accuracy, known = _accuracy_by_person(by_week[week]), sum(result.known for result in by_week[week])
        overall = sum(result.right for result in by_week[week]) / known if known else None
        each = [_round(accuracy.get(name), 2) for name in names]
        rows.append([week.isoformat(), _round(overall, 2), *each])
    return Table("gold", _("Gold accuracy by week"), [_("Week of"), _("All"), *names], rows)


def _gold_results(project: Project) -> list[GoldResult]:
    """Return the result of every submitted gold question."""
    events = Event.objects.filter(project=project, verb="submitted", data__has_key="gold")
    rows = events.values_list("actor__username", "at", "data")
    return [GoldResult(person, at, data["gold"]["known"], data["gold"]["right"]) for person, at, data in rows]


def _accuracy_by_person(results: Iterable[GoldResult]) -> dict[str, float]:
    """Return person → share of the known grades that they gave right."""
    known: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for result in results:
        known[result.person] += result.known
        right[result.person] += result.right
    return {person: right[person] / count for person, count in known.items() if count}


def _week(at: datetime) -> date:
    """Return the Monday of the week of `at`."""
    day = timezone.localtime(at).date()
    return day - timedelta(days=day.weekday())


def _figures(result: Agreement) -> list[Cell]:
    return [_round(result.alpha, 2), _round(result.low, 2), _round(result.high, 2)]


def _votes(grades: Iterable[GradeRow]) -> list[Vote]:
    numbers: dict[tuple[int, int], int] = {}
    return [
        Vote(numbers.setdefault((one.query_id, one.passage_id), len(numbers)), one.curator_id, one.grade)
        for one in grades
        if one.grade is not None
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _round(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
