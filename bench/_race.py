"""Many curators at once over HTTP, who vanish, submit twice, lose their connection and come back after their lease.

What the server has acknowledged to them is then held against the database.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from bench import _stage
from bench._client import Answer, Browser
from curation.annotation import assignments
from curation.models import Assignment, Event, Judgement, Project, Query
from curation.queries import intake
from retrieval.models import Corpus
from retrieval.search.results import Hit

OVERLAP, SHOWN, LEASE_SECONDS = 3, 2, 4
PATIENCE_SECONDS = 900
SUBMITTED = Assignment.State.SUBMITTED


@dataclass
class Curator:
    """One client, and what it was told."""

    browser: Browser
    slug: str
    random: random.Random
    over: threading.Event
    quits_after: int | None  # gone for good, in the middle of a question
    kept: dict[tuple[int, int], int] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    submitted: dict[int, bool] = field(default_factory=dict)
    did: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    is_away: bool = False

    def work(self) -> None:
        try:
            while not self.over.is_set() and self._goes_on():
                self._claim_and_judge()
        except Exception as error:  # noqa: BLE001 - a client's error is part of the result
            self.wrong.append(repr(error))
        finally:
            self.is_away = False
            self.browser.hang_up()

    def _goes_on(self) -> bool:
        return self.quits_after is None or self.did["questions"] <= self.quits_after

    def _claim_and_judge(self) -> None:
        claimed = self._claim()
        if not claimed:
            time.sleep(0.25)
            return
        self.did["questions"] += 1
        page = self._told(self.browser.get(claimed["url"], is_region=True), "page")
        self._judge(claimed["assignment"], claimed["url"], page.passages())

    def _claim(self) -> dict[str, Any]:
        address = f"/p/{self.slug}/judge/next/"
        if self.random.random() < 0.05:
            began = time.monotonic()
            first, second = self.browser.post_twice(address, {}, ("", ""))
            seconds = time.monotonic() - began  # of both: on a busy machine the second may have begun much later
            self.did["claimed in two tabs"] += 1
            is_one = self._told(first, "claim").json() == self._told(second, "claim").json()
            # Where the lease ran out between the two, the second may be given something else.
            if not is_one and seconds < LEASE_SECONDS:
                self.wrong.append("two tabs were given two questions")
            return first.json()
        return self._told(self.browser.post(address, {}), "claim").json()

    def _judge(self, assignment: int, url: str, passages: list[int]) -> None:
        fate = self.random.random()
        half = len(passages) // 2
        for passage in passages[:half]:
            self._grade(assignment, url, passage)
        if fate < 0.03 or not self._goes_on():
            self.did["vanished"] += 1
            return
        if fate < 0.05:
            self._told(self.browser.post(f"{url}skip/", {"comment": "not mine"}, uuid.uuid4().hex), "skip")
            self.did["skipped"] += 1
            return
        if fate < 0.09:
            self._be_away()
        for passage in passages[half:]:
            self._grade(assignment, url, passage)
        self._submit(assignment, url)

    def _be_away(self) -> None:
        """Longer than the lease; what follows comes from the page that was left open."""
        self.is_away = True
        self.browser.hang_up()
        time.sleep(LEASE_SECONDS + self.random.uniform(0.5, 3))
        self.did["came back after the lease"] += 1

    def _grade(self, assignment: int, url: str, passage: int) -> None:
        changes = self.random.random() < 0.05
        for grade in self.random.sample(range(4), 2 if changes else 1):
            key = uuid.uuid4().hex
            body = {"passage": passage, "grade": str(grade), "seconds": 1.5}
            self._cut_sometimes(f"{url}grades/", body, key, 0.1)
            self._told(self.browser.post(f"{url}grades/", body, key), "grade")
            self.kept[assignment, passage] = grade
            self.keys.append(key)

    def _submit(self, assignment: int, url: str) -> None:
        key, address, fate = uuid.uuid4().hex, f"{url}submit/", self.random.random()
        if fate < 0.2:
            keys = (key, key if fate < 0.1 else uuid.uuid4().hex)
            first, second = self.browser.post_twice(address, {}, keys)
            self.did["submitted twice"] += 1
            if self._told(first, "submit").json() != self._told(second, "submit").json():
                self.wrong.append("two submits of one thing differ")
        else:
            self._cut_sometimes(address, {}, key, 0.1)
            first = self._told(self.browser.post(address, {}, key), "submit")
        self.submitted[assignment] = bool(first.json()["is_extra"])
        self.is_away = False

    def _cut_sometimes(self, address: str, body: dict[str, Any], key: str, share: float) -> None:
        if self.random.random() < share:
            self.browser.post_unheard(address, body, key)
            self.did["cut and sent again"] += 1

    def _told(self, answer: Answer, act: str) -> Answer:
        self.did["requests"] += 1
        if answer.status != 200:
            raise RuntimeError(f"{act}: {answer.status} {answer.body[:200]!r}")
        return answer


def play(curators: int, queries: int, seed: int) -> dict[str, Any]:
    """The race from the first claim to the last submit, and the checks."""
    project = _put_up(queries)
    over = threading.Event()
    people = _stage.people(project, curators)
    chance = random.Random(seed)
    with _stage.web() as port:
        crowd = [
            Curator(
                browser=Browser(port, person),
                slug=project.slug,
                random=random.Random(chance.random()),
                over=over,
                quits_after=chance.randrange(1, 6) if number % 10 == 9 else None,
            )
            for number, person in enumerate(people)
        ]
        seconds = _run(project, crowd, over)
    did = sum((curator.did for curator in crowd), Counter())
    return {
        "curators": curators,
        "queries": queries,
        "overlap": OVERLAP,
        "seconds": seconds,
        "requests_per_second": did["requests"] / seconds,
        "did": dict(did),
        "wrong": [text for curator in crowd for text in curator.wrong][:20],
        "left_for_good": sum(curator.quits_after is not None for curator in crowd),
        **_checks(project, crowd),
    }


def _put_up(queries: int) -> Project:
    corpus = Corpus.objects.create(slug="race", name="Race")
    project = Project.objects.create(
        slug="race", name="Race", corpus=corpus, overlap=OVERLAP, lease_seconds=LEASE_SECONDS
    )
    passages = _stage.passages(project, [f"Passage {number} says this and that." for number in range(SHOWN)])
    rows = Query.objects.bulk_create(
        (Query(project=project, external_id=f"q{n}", text=f"question {n}") for n in range(queries)), batch_size=500
    )
    hits = [Hit(passage, rank, 1 / rank) for rank, passage in enumerate(passages, start=1)]
    intake.freeze_hits(rows, None, [hits] * queries)
    intake.open_slots_of(project, rows)
    return project


def _run(project: Project, crowd: list[Curator], over: threading.Event) -> float:
    """Everyone at once until nothing is left to do; the seconds it took."""
    began = time.monotonic()
    threads = [threading.Thread(target=curator.work) for curator in crowd]
    for thread in threads:
        thread.start()
    try:
        _sweep(project, crowd, threads)
    finally:
        over.set()
    seconds = time.monotonic() - began
    for thread in threads:
        thread.join()
    connection.close()
    return seconds


def _sweep(project: Project, crowd: list[Curator], threads: list[threading.Thread]) -> None:
    """Free lapsed slots as the scheduler does, only more often, until nothing is left or nobody."""
    ends = time.monotonic() + PATIENCE_SECONDS
    todo = Assignment.objects.filter(project=project, state__in=["open", "claimed"])
    while time.monotonic() < ends and any(thread.is_alive() for thread in threads):
        assignments.expire()
        if not any(curator.is_away for curator in crowd) and not todo.exists():
            return
        time.sleep(0.25)


def _checks(project: Project, crowd: list[Curator]) -> dict[str, int]:
    work = Assignment.objects.filter(project=project)
    counted = work.filter(state=SUBMITTED, is_extra=False)
    slots = Counter(counted.values_list("query_id", "slot"))
    judges = Counter(counted.values_list("query_id", flat=True))
    turns = Counter(work.filter(curator__isnull=False).values_list("query_id", "curator_id"))
    per_query = [judges[pk] for pk in project.queries.values_list("pk", flat=True)]
    happened = Counter(Event.objects.exclude(idempotency_key="").values_list("actor_id", "idempotency_key"))
    standing = {
        (a, p): g for a, p, g in Judgement.objects.standing().values_list("assignment_id", "passage_id", "grade")
    }
    handed_in = dict(work.filter(state=SUBMITTED).values_list("pk", "is_extra"))
    told = [(curator.browser.person.pk, curator) for curator in crowd]
    return {
        "acknowledged_grades": sum(len(curator.keys) for curator in crowd),
        "acknowledged_submits": sum(len(curator.submitted) for curator in crowd),
        "slots_filled_twice": sum(count > 1 for count in slots.values()),
        "grades_lost": sum((pk, key) not in happened for pk, curator in told for key in curator.keys)
        + sum(standing.get(place) != grade for curator in crowd for place, grade in curator.kept.items()),
        "submits_lost": sum(
            handed_in.get(pk) != is_extra for curator in crowd for pk, is_extra in curator.submitted.items()
        ),
        "acts_done_twice": sum(count > 1 for count in happened.values()),
        "queries_starved": sum(count < OVERLAP for count in per_query),
        "queries_with_too_many": sum(count > OVERLAP for count in per_query),
        "queries_at_overlap": sum(count == OVERLAP for count in per_query),
        "queries_without_an_opinion": project.queries.filter(state=Query.State.OPEN).count(),
        "had_twice": sum(count > 1 for count in turns.values()),
        "extras": work.filter(state=SUBMITTED, is_extra=True).count(),
        "lapsed": Event.objects.filter(project=project, verb="lapsed").count(),
    }
