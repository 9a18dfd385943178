"""The picture for managers: how far, how fast, how much people agree, what is covered.

Reading only, with a number of queries that does not grow with the project. What needs single grades looks at
the newest NEWEST of them, and says so.
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
from curation.models import Assignment, Event, Judgement, Project, Query, SettledGrade, ShownPassage

NEWEST = 20_000  # judgements looked at one by one
DAYS = 28
PACE_DAYS = 7
WEEKS = 8
DEPTH = 10

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows that a page shows, a chart draws and a CSV carries. The first column names the row."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Progress:
    """per_day: submits over the last PACE_DAYS, or since the first where that is less.

    forecast: days to the last open slot at that pace; None at a standstill.
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
    """Krippendorff's ordinal α with its 95 % interval, over passages that two and more judged; None: undefined."""

    alpha: float | None
    low: float | None
    high: float | None
    passages: int


@dataclass(frozen=True)
class Grade:
    """One submitted judgement, as the measures see it; grade None is can't tell."""

    query_id: int
    passage_id: int
    curator_id: int
    curator: str
    grade: int | None
    seconds: float
    at: datetime


@dataclass(frozen=True)
class Gold:
    """One gold question as one person did it: how many passages had a known grade, and how many got it."""

    person: str
    at: datetime
    known: int
    right: int


def progress(project: Project) -> Progress:
    """How far the project is, and when it would be done."""
    states = dict(project.queries.values_list("state").annotate(Count("pk")).order_by())
    work = Assignment.objects.filter(project=project, is_extra=False)
    now = timezone.now()
    since = now - timedelta(days=PACE_DAYS)
    first = work.submitted().order_by("submitted_at").values_list("submitted_at", flat=True).first()
    days = min(PACE_DAYS, max(1, math.ceil((now - first) / timedelta(days=1)))) if first else PACE_DAYS
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


def newest_grades(project: Project) -> list[Grade]:
    """The newest submitted judgements, newest first; extras and gold questions too, as they are work as well.

    Without grades that were passed on: who confirmed one had seen it, so it tells nothing of how people agree.
    """
    rows = Judgement.objects.submitted().filter(query__project=project, origin=None).order_by("-pk")
    fields = ("query_id", "passage_id", "curator_id", "curator__username", "grade", "active_seconds", "created_at")
    return [Grade(*row) for row in rows.values_list(*fields)[:NEWEST]]


def median_seconds(grades: Iterable[Grade]) -> float | None:
    """Median active seconds of a passage; passages whose time is not known are left out."""
    known = [grade.seconds for grade in grades if grade.seconds > 0]
    return median(known) if known else None


def agreement_of(grades: Sequence[Grade], *, resamples: int = 200) -> Agreement:
    """α of these grades; can't tell is no grade."""
    _judges, _items, ratings = agreement.matrix(_votes(grades))
    paired = int(((~np.isnan(ratings)).sum(axis=0) >= 2).sum()) if ratings.size else 0
    if not paired:
        return Agreement(None, None, None, 0)
    low, high = agreement.alpha_interval(ratings, resamples=resamples) if resamples else (math.nan, math.nan)
    return Agreement(_number(agreement.alpha(ratings)), _number(low), _number(high), paired)


def coverage(project: Project) -> float | None:
    """judged@10 of the release in service: the share of its frozen top ten that somebody has judged or settled.

    Until it was asked something: what it was measured to have when it came into service. None without either.
    """
    top = ShownPassage.objects.filter(
        ranking__release__project=project, ranking__release__state="serving", rank__lte=DEPTH, added_by=None
    )
    pair = {"passage_id": OuterRef("passage_id")}
    submitted = Judgement.objects.submitted().filter(query_id=OuterRef("ranking__query_id"), **pair)
    settled = SettledGrade.objects.filter(
        review__query_id=OuterRef("ranking__query_id"), review__state="settled", **pair
    )
    total = top.count()
    if total:
        return top.filter(Exists(submitted) | Exists(settled)).count() / total
    return project.releases.serving().values_list("judged_share", flat=True).first()


def throughput(project: Project) -> Table:
    """Submits of each of the last DAYS days."""
    today = timezone.localdate()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    since = timezone.now() - timedelta(days=DAYS)
    rows = Assignment.objects.submitted().filter(project=project, submitted_at__gte=since)
    rows = rows.exclude(selection=Assignment.Selection.CONFIRMED)
    counted = dict(rows.annotate(day=TruncDate("submitted_at")).values_list("day").annotate(Count("pk")).order_by())
    table: list[list[Cell]] = [[day.isoformat(), counted.get(day, 0)] for day in days]
    return Table("throughput", _("Submits a day"), [_("Day"), _("Submits")], table)


def histogram(project: Project, grades: Sequence[Grade]) -> Table:
    """How often each grade was given, by each person and by all."""
    people = sorted({grade.curator for grade in grades})
    counted = Counter((grade.curator, grade.grade) for grade in grades)
    labels: list[tuple[int | None, str]] = [(int(g["grade"]), f"{g['grade']} {_(g['label'])}") for g in project.grades]
    labels.append((None, _("Can't tell")))
    rows: list[list[Cell]] = []
    for value, label in labels:
        each = [counted[person, value] for person in people]
        rows.append([label, sum(each), *each])
    return Table("grades", _("Grades given"), [_("Grade"), _("All"), *people], rows)


def people(project: Project, grades: Sequence[Grade]) -> Table:
    """Each person's work: how much, how fast, how far it agrees with the others', gold, when last."""
    mine = defaultdict(list)
    for grade in grades:
        mine[grade.curator].append(grade)
    gold = _shares(_gold(project))
    rows: list[list[Cell]] = []
    for person, own in sorted(mine.items()):
        pairs = {(grade.query_id, grade.passage_id) for grade in own}
        shared = [grade for grade in grades if (grade.query_id, grade.passage_id) in pairs]
        seconds = median_seconds(own)
        last = timezone.localtime(max(grade.at for grade in own)).date().isoformat()
        figures = [_round(seconds, 1), *_figures(agreement_of(shared)), _round(gold.get(person), 2)]
        rows.append([person, len(own), *figures, last])
    columns = [_("Person"), _("Judgements"), _("Median seconds"), _("α with the others"), _("Low"), _("High")]
    columns += [_("Gold right"), _("Last judged")]
    return Table("people", _("People"), columns, rows)


def pairs(grades: Sequence[Grade]) -> Table:
    """Quadratic-weighted κ of every two people on the passages both judged."""
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
            figures = [agreement.kappa(first, second), *agreement.kappa_interval(first, second)]
            rows.append([f"{one} · {other}", len(both), *[_round(_number(value), 2) for value in figures]])
    columns = [_("Pair"), _("Passages"), _("Weighted κ"), _("Low"), _("High")]
    return Table("pairs", _("Agreement of every two"), columns, rows)


def weeks(grades: Sequence[Grade]) -> Table:
    """α of each of the last WEEKS weeks, with its interval."""
    by_week: dict[date, list[Grade]] = defaultdict(list)
    for grade in grades:
        by_week[_week(grade.at)].append(grade)
    rows: list[list[Cell]] = []
    for week in sorted(by_week)[-WEEKS:]:
        found = agreement_of(by_week[week])
        rows.append([week.isoformat(), *_figures(found), found.passages])
    columns = [_("Week of"), _("α"), _("Low"), _("High"), _("Passages")]
    return Table("weeks", _("Agreement by week"), columns, rows)


def gold(project: Project) -> Table:
    """The share of known grades that each person gave as known, week by week."""
    by_week: dict[date, list[Gold]] = defaultdict(list)
    for result in _gold(project):
        by_week[_week(result.at)].append(result)
    names = sorted({result.person for results in by_week.values() for result in results})
    rows: list[list[Cell]] = []
    for week in sorted(by_week)[-WEEKS:]:
        share, known = _shares(by_week[week]), sum(result.known for result in by_week[week])
        everybody = sum(result.right for result in by_week[week]) / known if known else None
        each = [_round(share.get(name), 2) for name in names]
        rows.append([week.isoformat(), _round(everybody, 2), *each])
    return Table("gold", _("Gold right by week"), [_("Week of"), _("All"), *names], rows)


def _gold(project: Project) -> list[Gold]:
    """Every submit of a gold question."""
    events = Event.objects.filter(project=project, verb="submitted", data__has_key="gold")
    rows = events.values_list("actor__username", "at", "data")
    return [Gold(person, at, data["gold"]["known"], data["gold"]["right"]) for person, at, data in rows]


def _shares(results: Iterable[Gold]) -> dict[str, float]:
    """Person → share of known grades they gave as known."""
    known: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for result in results:
        known[result.person] += result.known
        right[result.person] += result.right
    return {person: right[person] / count for person, count in known.items() if count}


def _week(at: datetime) -> date:
    """The Monday of its week."""
    day = timezone.localtime(at).date()
    return day - timedelta(days=day.weekday())


def _figures(found: Agreement) -> list[Cell]:
    return [_round(found.alpha, 2), _round(found.low, 2), _round(found.high, 2)]


def _votes(grades: Iterable[Grade]) -> list[Vote]:
    numbers: dict[tuple[int, int], int] = {}
    return [
        Vote(numbers.setdefault((one.query_id, one.passage_id), len(numbers)), one.curator_id, one.grade)
        for one in grades
        if one.grade is not None
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _round(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)
