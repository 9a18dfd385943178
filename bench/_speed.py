"""Curators at their pace before a queue of a million: what an act takes at the client, and asks of the database."""

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

from bench import _cost, _cpu, _crowded, _painting, _stage
from bench._client import Answer, Browser
from curation.annotation import assignments, judgements
from curation.models import Assignment, Guidelines, Membership, Project
from retrieval.models import Corpus

PACE_SECONDS = 2.0
CYCLE_SECONDS = PACE_SECONDS * (_crowded.SHOWN + 2)  # claim, ten grades, submit
FEW = 1000  # queries before which the statements of a request are counted first
WORDS = ["the", "wind", "of", "a", "mountain", "rain", "takes", "north", "person", "second", "stone", "bridge", "carry"]


@dataclass
class Curator:
    """One who acts every two seconds, however long the answer took."""

    browser: Browser
    slug: str
    begins: float
    ends: float
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)

    def work(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - a client's error is part of the result
            self.wrong.append(repr(error))
        finally:
            self.browser.hang_up()

    def _work(self) -> None:
        self._wait()
        page = self._timed("open the page", self.browser.get(f"/p/{self.slug}/judge/"))
        url = page.address
        while time.monotonic() < self.ends:
            number = int(url.rstrip("/").rpartition("/")[2])
            self._wait()
            claim = self._timed("claim-next", self.browser.post(f"/p/{self.slug}/judge/next/", {"beside": number}))
            after = claim.json()["url"]
            ahead = self._timed("fetch the next ahead", self.browser.get(after, is_region=True))
            for position, passage in enumerate(page.passages(), start=1):
                self._wait()
                body = {"passage": passage, "grade": str(passage % 4), "position": position, "seconds": 2}
                self._timed("save-grade", self.browser.post(f"{url}grades/", body, uuid.uuid4().hex))
            self._wait()
            self._timed("submit", self.browser.post(f"{url}submit/", {}, uuid.uuid4().hex))
            page, url = ahead, after

    def _wait(self) -> None:
        time.sleep(max(0.0, self.begins - time.monotonic()))
        self.begins += PACE_SECONDS

    def _timed(self, act: str, answer: Answer) -> Answer:
        if answer.status != 200:
            raise RuntimeError(f"{act}: {answer.status} {answer.body[:200]!r}")
        self.took[act].append(answer.seconds)
        return answer


def play(assignment_count: int, curators: int, seconds: int, seed: int, chromium: str) -> dict[str, Any]:
    """Fill, count, run at the pace, look at it in the browser. chromium: its path; empty, the browser is left out."""
    project, passage = _put_up()
    people = _stage.people(project, curators + 2 + _cost.PEOPLE)
    queries = max(assignment_count // _crowded.OVERLAP, FEW + 1)
    pks = [person.pk for person in people[:curators]]
    began = time.monotonic()
    _crowded.fill(project, passage, pks, 1, FEW)
    few = statements(project, people[curators])
    _crowded.fill(project, passage, pks, FEW + 1, queries)
    filled = time.monotonic() - began
    many = statements(project, people[curators])
    cost = _cost.per_act(project.slug, people[curators + 2 :])
    made = Assignment.objects.count()
    connection.close()
    with _stage.web() as port:
        load = os.getloadavg()[0]
        took, wrong, cpu = _run(port, people[:curators], seconds, random.Random(seed))
        load_after = os.getloadavg()[0]
        painted = _painting.paint(chromium, port, project.slug, people[curators + 1]) if chromium else None
    return {
        "assignments": made,
        "curators": curators,
        "seconds": seconds,
        "fill_seconds": filled,
        "load_before": load,
        "load_after": load_after,
        "cpu_ms_per_request": cpu,
        "cpu_ms_per_act": cost,
        "wrong": wrong,
        "acts": {act: _summary(times) for act, times in took.items()},
        "statements_among": {str(FEW * _crowded.OVERLAP): few, str(made): many},
        "chromium": painted,
    }


def statements(project: Project, person: _stage.Person) -> dict[str, int]:
    """How many statements each request of one question takes, sign-in and permission included."""
    client = Client(SERVER_NAME="localhost")
    client.cookies["sessionid"] = person.session
    found: dict[str, int] = {}

    def count(act: str, url: str, body: dict[str, object] | None = None) -> Any:
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(url) if body is None else client.post(url, body, content_type="application/json")
        found[act] = len(
            [one for one in captured if not one["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))]
        )
        return answer

    claim = count("claim-next", f"/p/{project.slug}/judge/next/", {})
    url = claim.json()["url"]
    count("the page", url)
    mine = Assignment.objects.get(pk=claim.json()["assignment"])
    for passage in mine.order:
        count("save-grade", f"{url}grades/", {"passage": passage, "grade": "1"})
    count("submit", f"{url}submit/", {})
    client.post(f"{url}take-back/", {}, content_type="application/json")
    _judge_the_rest(mine)
    count("the last submit", f"{url}submit/", {})
    return found


def _judge_the_rest(mine: Assignment) -> None:
    """Others fill the query's other slots."""
    for name in ("a", "b"):
        user = User.objects.create_user(f"{name}-{mine.pk}")
        Membership.objects.create(project=mine.project, user=user)
        theirs = assignments.claim(mine.query, user)
        for passage in theirs.order:
            judgements.record(theirs, passage, 1)
        judgements.submit(theirs)


def _put_up() -> tuple[Project, int]:
    """The project with guidelines and passages of about a hundred words; the id of the first."""
    corpus = Corpus.objects.create(slug="bench", name="Bench")
    project = Project.objects.create(slug="bench", name="Bench", corpus=corpus, overlap=_crowded.OVERLAP)
    Guidelines.objects.create(project=project, version=1, text="Read the question first.\n\n- Grade what it says.")
    chance = random.Random(0)
    texts = [" ".join(chance.choices(WORDS, k=100)).capitalize() + "." for _passage in range(_crowded.PASSAGES)]
    return project, min(_stage.passages(project, texts))


def _run(
    port: int, people: Sequence[_stage.Person], seconds: int, chance: random.Random
) -> tuple[dict[str, list[float]], list[str], dict[str, float]]:
    """Seconds each act took, what went wrong, and CPU milliseconds a request."""
    start = time.monotonic() + 1
    crowd = [
        Curator(
            Browser(port, person), "bench", start + chance.uniform(0, CYCLE_SECONDS), start + CYCLE_SECONDS + seconds
        )
        for person in people
    ]
    threads = [threading.Thread(target=curator.work) for curator in crowd]
    for thread in threads:
        thread.start()
    time.sleep(max(0.0, start + CYCLE_SECONDS - time.monotonic()))
    for curator in crowd:  # all have come, and the server has met every page
        curator.took = defaultdict(list, {"open the page": curator.took["open the page"]})
    meter = _cpu.Meter(os.environ["DATABASE_URL"])
    meter.start()
    for thread in threads:
        thread.join()
    cpu = meter.stop()
    took: dict[str, list[float]] = defaultdict(list)
    for curator in crowd:
        for act, times in curator.took.items():
            took[act] += times
    requests = sum(len(times) for act, times in took.items() if act != "open the page")
    wrong = [text for curator in crowd for text in curator.wrong]
    return took, wrong, {group: 1000 * seconds / requests for group, seconds in cpu.items()}


def _summary(times: Sequence[float]) -> dict[str, float]:
    """Milliseconds."""
    places = statistics.quantiles(times, n=100, method="inclusive") if len(times) > 1 else [times[0]] * 99
    return {"times": len(times), "p50": 1000 * places[49], "p95": 1000 * places[94], "p99": 1000 * places[98]}
