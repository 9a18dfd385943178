"""Concurrency test over HTTP: many curators at once, and the stored rows against every acknowledged response.

The clients disconnect, submit twice, use two tabs, vanish in the middle of a query, and return after their lease.
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

from bench import _environment
from bench._client import Browser, Response
from curation.annotation import assignments, leases
from curation.models import Assignment, Event, Judgement, Project, Query
from curation.queries import intake
from retrieval.models import Corpus
from retrieval.search.results import Hit

OVERLAP, SHOWN, LEASE_SECONDS = 3, 2, 4
TIMEOUT_SECONDS = 900
POLL_SECONDS = 0.25
SUBMITTED = Assignment.State.SUBMITTED

# Probabilities of what a client does.
TWO_TABS, VANISH, SKIP, OUTLAST_LEASE = 0.05, 0.03, 0.02, 0.04
CHANGE_GRADE, DISCONNECT = 0.05, 0.1
SUBMIT_TWICE, SAME_KEY = 0.2, 0.5


@dataclass
class Curator:
    """One client, and every response that the server acknowledged to it."""

    browser: Browser
    slug: str
    random: random.Random
    stop_event: threading.Event
    max_queries: int | None  # leaves for good in the middle of the next query
    grades: dict[tuple[int, int], int] = field(default_factory=dict)  # (assignment, passage) → last acknowledged grade
    grade_keys: list[str] = field(default_factory=list)
    submits: dict[int, bool] = field(default_factory=dict)  # assignment → is_extra
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    is_away: bool = False

    def work(self) -> None:
        """Claim and judge until the test stops or the curator leaves."""
        try:
            while not self.stop_event.is_set() and not self._has_left():
                self._claim_and_judge()
        except Exception as error:  # noqa: BLE001 - a client's error is part of the result
            self.errors.append(repr(error))
        finally:
            self.is_away = False
            self.browser.close()

    def _has_left(self) -> bool:
        return self.max_queries is not None and self.counts["queries"] > self.max_queries

    def _claim_and_judge(self) -> None:
        claim = self._claim()
        if not claim:
            time.sleep(POLL_SECONDS)
            return
        self.counts["queries"] += 1
        page = self._check(self.browser.get(claim["url"], is_region=True), "page")
        self._judge(claim["assignment"], claim["url"], page.passage_ids())

    def _claim(self) -> dict[str, Any]:
        path = f"/p/{self.slug}/judge/next/"
        if self.random.random() >= TWO_TABS:
            return self._check(self.browser.post(path, {}), "claim").json()
        started = time.monotonic()
        first, second = self.browser.post_in_two_tabs(path, {}, ("", ""))
        seconds = time.monotonic() - started  # of both: on a busy machine the second may start much later
        self.counts["claims in two tabs"] += 1
        is_same = self._check(first, "claim").json() == self._check(second, "claim").json()
        # The two claims may differ only where the lease expired between them.
        if not is_same and seconds < LEASE_SECONDS:
            self.errors.append("two tabs got two different queries")
        return first.json()

    def _judge(self, assignment: int, url: str, passages: list[int]) -> None:
        draw = self.random.random()
        middle = len(passages) // 2
        for passage in passages[:middle]:
            self._grade(assignment, url, passage)
        if draw < VANISH or self._has_left():
            self.counts["vanished"] += 1
            return
        if draw < VANISH + SKIP:
            self._check(self.browser.post(f"{url}skip/", {"comment": "not mine"}, uuid.uuid4().hex), "skip")
            self.counts["skips"] += 1
            return
        if draw < VANISH + SKIP + OUTLAST_LEASE:
            self._outlast_lease()
        for passage in passages[middle:]:
            self._grade(assignment, url, passage)
        self._submit(assignment, url)

    def _outlast_lease(self) -> None:
        """Wait until the lease has expired; the next requests come from the page that stayed open."""
        self.is_away = True
        self.browser.close()
        time.sleep(LEASE_SECONDS + self.random.uniform(0.5, 3))
        self.counts["returned after the lease"] += 1

    def _grade(self, assignment: int, url: str, passage: int) -> None:
        is_changed = self.random.random() < CHANGE_GRADE
        for grade in self.random.sample(range(4), 2 if is_changed else 1):
            key = uuid.uuid4().hex
            body = {"passage": passage, "grade": str(grade), "seconds": 1.5}
            self._maybe_disconnect(f"{url}grades/", body, key)
            self._check(self.browser.post(f"{url}grades/", body, key), "grade")
            self.grades[assignment, passage] = grade
            self.grade_keys.append(key)

    def _submit(self, assignment: int, url: str) -> None:
        key, path, draw = uuid.uuid4().hex, f"{url}submit/", self.random.random()
        if draw < SUBMIT_TWICE:
            keys = (key, key if draw < SUBMIT_TWICE * SAME_KEY else uuid.uuid4().hex)
            response, second = self.browser.post_in_two_tabs(path, {}, keys)
            self.counts["double submits"] += 1
            if self._check(response, "submit").json() != self._check(second, "submit").json():
                self.errors.append("two submits of one assignment got different responses")
        else:
            self._maybe_disconnect(path, {}, key)
            response = self._check(self.browser.post(path, {}, key), "submit")
        self.submits[assignment] = bool(response.json()["is_extra"])
        self.is_away = False

    def _maybe_disconnect(self, path: str, body: dict[str, Any], key: str) -> None:
        """Sometimes send the request first on a connection that is closed before the response."""
        if self.random.random() < DISCONNECT:
            self.browser.post_and_disconnect(path, body, key)
            self.counts["disconnected and sent again"] += 1

    def _check(self, response: Response, action: str) -> Response:
        self.counts["requests"] += 1
        if response.status != 200:
            raise RuntimeError(f"{action}: {response.status} {response.body[:200]!r}")
        return response


def run(curator_count: int, query_count: int, seed: int) -> dict[str, Any]:
    """Run the test from the first claim to the last submit, and return the counts and the checks."""
    project = _create_project(query_count)
    stop_event = threading.Event()
    people = _environment.sign_in_people(project, curator_count)
    rng = random.Random(seed)
    with _environment.web_server() as port:
        curators = [
            Curator(
                browser=Browser(port, person),
                slug=project.slug,
                random=random.Random(rng.random()),
                stop_event=stop_event,
                max_queries=rng.randrange(1, 6) if number % 10 == 9 else None,
            )
            for number, person in enumerate(people)
        ]
        seconds = _run_threads(project, curators, stop_event)
    counts = sum((curator.counts for curator in curators), Counter())
    return {
        "curators": curator_count,
        "queries": query_count,
        "overlap": OVERLAP,
        "seconds": seconds,
        "requests_per_second": counts["requests"] / seconds,
        "counts": dict(counts),
        "errors": [text for curator in curators for text in curator.errors][:20],
        "left_for_good": sum(curator.max_queries is not None for curator in curators),
        **_check_rows(project, curators),
    }


def _create_project(query_count: int) -> Project:
    corpus = Corpus.objects.create(slug="race", name="Race")
    project = Project.objects.create(
        slug="race", name="Race", corpus=corpus, overlap=OVERLAP, lease_seconds=LEASE_SECONDS
    )
    passages = _environment.create_passages(
        project, [f"Passage {number} says this and that." for number in range(SHOWN)]
    )
    queries = Query.objects.bulk_create(
        (Query(project=project, external_id=f"q{n}", text=f"question {n}") for n in range(query_count)), batch_size=500
    )
    hits = [Hit(passage, rank, 1 / rank) for rank, passage in enumerate(passages, start=1)]
    intake.freeze_hits(queries, None, [hits] * query_count)
    assignments.create_open(project, queries)
    return project


def _run_threads(project: Project, curators: list[Curator], stop_event: threading.Event) -> float:
    """Run all curators at once until no work is left, and return the seconds."""
    started = time.monotonic()
    threads = [threading.Thread(target=curator.work) for curator in curators]
    for thread in threads:
        thread.start()
    try:
        _expire_leases_until_done(project, curators, threads)
    finally:
        stop_event.set()
    seconds = time.monotonic() - started
    for thread in threads:
        thread.join()
    connection.close()
    return seconds


def _expire_leases_until_done(project: Project, curators: list[Curator], threads: list[threading.Thread]) -> None:
    """Expire overdue leases as the scheduler does, only more often, until no work or no curator is left."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    unfinished = Assignment.objects.filter(project=project, state__in=["open", "claimed"])
    while time.monotonic() < deadline and any(thread.is_alive() for thread in threads):
        leases.expire_overdue()
        if not any(curator.is_away for curator in curators) and not unfinished.exists():
            return
        time.sleep(POLL_SECONDS)


def _check_rows(project: Project, curators: list[Curator]) -> dict[str, int]:
    """Compare the stored rows with what the server acknowledged to the clients."""
    rows = Assignment.objects.filter(project=project)
    in_slots = rows.filter(state=SUBMITTED, is_extra=False)
    per_slot = Counter(in_slots.values_list("query_id", "slot"))
    submitted = Counter(in_slots.values_list("query_id", flat=True))
    per_person = Counter(rows.filter(curator__isnull=False).values_list("query_id", "curator_id"))
    per_query = [submitted[pk] for pk in project.queries.values_list("pk", flat=True)]
    return {
        "acknowledged_grades": sum(len(curator.grade_keys) for curator in curators),
        "acknowledged_submits": sum(len(curator.submits) for curator in curators),
        "slots_filled_twice": sum(count > 1 for count in per_slot.values()),
        **_check_acknowledged(rows, curators),
        "queries_below_overlap": sum(count < OVERLAP for count in per_query),
        "queries_above_overlap": sum(count > OVERLAP for count in per_query),
        "queries_at_overlap": sum(count == OVERLAP for count in per_query),
        "queries_still_open": project.queries.filter(state=Query.State.OPEN).count(),
        "assigned_twice_to_one_person": sum(count > 1 for count in per_person.values()),
        "extras": rows.filter(state=SUBMITTED, is_extra=True).count(),
        "expired_leases": Event.objects.filter(project=project, verb="lapsed").count(),
    }


def _check_acknowledged(rows: Any, curators: list[Curator]) -> dict[str, int]:
    """Count acknowledged grades and submits that are not stored, and idempotency keys that were applied twice."""
    events = Counter(Event.objects.exclude(idempotency_key="").values_list("actor_id", "idempotency_key"))
    judgements = Judgement.objects.not_withdrawn().values_list("assignment_id", "passage_id", "grade")
    grades = {(assignment, passage): grade for assignment, passage, grade in judgements}
    is_extra_of = dict(rows.filter(state=SUBMITTED).values_list("pk", "is_extra"))
    return {
        "grades_lost": sum(
            (curator.browser.person.pk, key) not in events for curator in curators for key in curator.grade_keys
        )
        + sum(grades.get(place) != grade for curator in curators for place, grade in curator.grades.items()),
        "submits_lost": sum(
            is_extra_of.get(pk) != is_extra for curator in curators for pk, is_extra in curator.submits.items()
        ),
        "requests_applied_twice": sum(count > 1 for count in events.values()),
    }
