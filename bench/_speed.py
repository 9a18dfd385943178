"""Load test at a steady pace before a queue of a million: latency at the client, SQL statements and CPU time."""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench import _browser_paint, _environment, _large_project, _process_cpu, _request_cpu
from bench._client import Browser, Response
from curation.annotation import claims, judgements
from curation.models import Assignment, Guidelines, Membership, Project
from retrieval.models import Corpus

PACE_SECONDS = 2.0
QUERY_SECONDS = PACE_SECONDS * (_large_project.SHOWN + 2)  # claim, ten grades, submit
SMALL_QUEUE = 1000  # queries of the queue before which statements are counted first
WORDS = ["the", "wind", "of", "a", "mountain", "rain", "takes", "north", "person", "second", "stone", "bridge", "carry"]


@dataclass
class Curator:
    """A client that acts every two seconds, however long the response took."""

    browser: Browser
    slug: str
    next_at: float
    ends_at: float
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def work(self) -> None:
        """Judge one query after the other until `ends_at`."""
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - a client's error is part of the result
            self.errors.append(repr(error))
        finally:
            self.browser.close()

    def _work(self) -> None:
        self._wait()
        page = self._record("open the page", self.browser.get(f"/p/{self.slug}/judge/"))
        url = page.url
        while time.monotonic() < self.ends_at:
            number = int(url.rstrip("/").rpartition("/")[2])
            self._wait()
            claim = self._record("claim-next", self.browser.post(f"/p/{self.slug}/judge/next/", {"beside": number}))
            next_url = claim.json()["url"]
            next_page = self._record("prefetch the next query", self.browser.get(next_url, is_region=True))
            for position, passage in enumerate(page.passage_ids(), start=1):
                self._wait()
                body = {"passage": passage, "grade": str(passage % 4), "position": position, "seconds": 2}
                self._record("save-grade", self.browser.post(f"{url}grades/", body, uuid.uuid4().hex))
            self._wait()
            self._record("submit", self.browser.post(f"{url}submit/", {}, uuid.uuid4().hex))
            page, url = next_page, next_url

    def _wait(self) -> None:
        time.sleep(max(0.0, self.next_at - time.monotonic()))
        self.next_at += PACE_SECONDS

    def _record(self, action: str, response: Response) -> Response:
        if response.status != 200:
            raise RuntimeError(f"{action}: {response.status} {response.body[:200]!r}")
        self.seconds[action].append(response.seconds)
        return response


def run(assignment_count: int, curators: int, seconds: int, seed: int, chromium: str) -> dict[str, Any]:
    """Fill the queue, count statements and CPU time, run the load, and measure the page in the browser.

    chromium: path of the browser; without one ("") its part is left out.
    """
    project, first_passage = _create_project()
    people = _environment.sign_in_people(project, curators + 2 + _request_cpu.PEOPLE)
    query_count = max(assignment_count // _large_project.OVERLAP, SMALL_QUEUE + 1)
    curator_ids = [person.pk for person in people[:curators]]
    started = time.monotonic()
    _large_project.insert(project, first_passage, curator_ids, 1, SMALL_QUEUE)
    small_total = Assignment.objects.count()
    small_statements = count_statements(project, people[curators])
    _large_project.insert(project, first_passage, curator_ids, SMALL_QUEUE + 1, query_count)
    fill_seconds = time.monotonic() - started
    statements = count_statements(project, people[curators])
    cpu_per_action = _request_cpu.measure(project.slug, people[curators + 2 :])
    total = Assignment.objects.count()
    connection.close()
    with _environment.web_server() as port:
        load_before = os.getloadavg()[0]
        latencies, errors, cpu = _run_load(port, people[:curators], seconds, random.Random(seed))
        load_after = os.getloadavg()[0]
        page = _browser_paint.measure(chromium, port, project.slug, people[curators + 1]) if chromium else None
    return {
        "assignments": total,
        "curators": curators,
        "seconds": seconds,
        "fill_seconds": fill_seconds,
        "load_before": load_before,
        "load_after": load_after,
        "cpu_ms_per_request": cpu,
        "cpu_ms_per_action": cpu_per_action,
        "errors": errors,
        "actions": {action: _summary(times) for action, times in latencies.items()},
        "statements_by_queue": {str(small_total): small_statements, str(total): statements},
        "chromium": page,
    }


def count_statements(project: Project, person: _environment.Person) -> dict[str, int]:
    """Return the number of SQL statements of each request of one query, session and permission included."""
    client = Client(SERVER_NAME="localhost")
    client.cookies["sessionid"] = person.session
    counts: dict[str, int] = {}

    def request(action: str, url: str, body: dict[str, object] | None = None) -> Any:
        with CaptureQueriesContext(connection) as context:
            response = client.get(url) if body is None else client.post(url, body, content_type="application/json")
        if response.status_code != 200:
            raise RuntimeError(f"{action}: {response.status_code} {response.content[:200]!r}")
        transaction_control = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")
        counts[action] = sum(not query["sql"].startswith(transaction_control) for query in context)
        return response

    claim = request("claim-next", f"/p/{project.slug}/judge/next/", {}).json()
    url = claim["url"]
    request("the page", url)
    assignment = Assignment.objects.get(pk=claim["assignment"])
    for passage in assignment.order:
        request("save-grade", f"{url}grades/", {"passage": passage, "grade": "1"})
    request("submit", f"{url}submit/", {})
    request("undo the submit", f"{url}undo-submit/", {})
    _fill_other_slots(assignment)
    request("the last submit", f"{url}submit/", {})
    return counts


def _fill_other_slots(assignment: Assignment) -> None:
    """Submit the other slots of the query as other people."""
    for name in ("a", "b"):
        user = User.objects.create_user(f"{name}-{assignment.pk}")
        Membership.objects.create(project=assignment.project, user=user)
        other = claims.claim(assignment.query, user)
        for passage in other.order:
            judgements.record(other, passage, 1)
        judgements.submit(other)


def _create_project() -> tuple[Project, int]:
    """Create the project, guidelines and passages of about a hundred words; return it and the first passage's id."""
    corpus = Corpus.objects.create(slug="bench", name="Bench")
    project = Project.objects.create(slug="bench", name="Bench", corpus=corpus, overlap=_large_project.OVERLAP)
    Guidelines.objects.create(project=project, version=1, text="Read the question first.\n\n- Grade what it says.")
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=100)).capitalize() + "." for _passage in range(_large_project.PASSAGES)]
    return project, min(_environment.create_passages(project, texts))


def _run_load(
    port: int, people: Sequence[_environment.Person], seconds: int, rng: random.Random
) -> tuple[dict[str, list[float]], list[str], dict[str, float]]:
    """Return the seconds of each request by action, the errors, and the CPU milliseconds per request.

    The measurement starts after a warm-up in which every curator has judged for one query.
    """
    start = time.monotonic() + 1
    measured_from = start + QUERY_SECONDS
    curators = [
        Curator(Browser(port, person), "bench", start + rng.uniform(0, QUERY_SECONDS), measured_from + seconds)
        for person in people
    ]
    threads = [threading.Thread(target=curator.work) for curator in curators]
    for thread in threads:
        thread.start()
    time.sleep(max(0.0, measured_from - time.monotonic()))
    for curator in curators:  # the warm-up ends: every curator has opened the page
        curator.seconds = defaultdict(list, {"open the page": curator.seconds["open the page"]})
    meter = _process_cpu.CpuMeter(os.environ["DATABASE_URL"])
    meter.start()
    for thread in threads:
        thread.join()
    cpu = meter.stop()
    latencies: dict[str, list[float]] = defaultdict(list)
    for curator in curators:
        for action, times in curator.seconds.items():
            latencies[action] += times
    requests = sum(len(times) for action, times in latencies.items() if action != "open the page")
    errors = [text for curator in curators for text in curator.errors]
    return latencies, errors, {group: 1000 * used / requests for group, used in cpu.items()}


def _summary(times: Sequence[float]) -> dict[str, float]:
    """Return the number of requests and percentiles of their milliseconds."""
    quantiles = statistics.quantiles(times, n=100, method="inclusive") if len(times) > 1 else [times[0]] * 99
    return {"requests": len(times)} | {f"p{percent}": 1000 * quantiles[percent - 1] for percent in (50, 95, 99)}
