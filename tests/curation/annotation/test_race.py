"""Many people at once, who vanish, come back, submit twice and lose their connection: no slot is filled twice, no
grade is lost, no query starves. Threads with connections of their own: eight on SQLite, sixteen on PostgreSQL."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from curation.annotation import assignments, claims, judgements, leases
from curation.models import Assignment, Event, Judgement, Membership, Project, Query
from curation.queries import intake
from retrieval.models import Corpus, Document, Passage
from retrieval.search.results import Hit

OVERLAP, QUERIES, SHOWN = 3, 12, 3
PATIENCE = 120  # seconds

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@dataclass
class Client:
    """One curator: what they were told is saved, and what they left lying."""

    user: User
    project: Project
    random: random.Random
    saved: dict[tuple[int, int], int] = field(default_factory=dict)
    left: list[Assignment] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    errors: list[BaseException] = field(default_factory=list)

    def work(self, ends: float) -> None:
        try:
            while time.monotonic() < ends:
                claimed = claims.claim_next(self.project, self.user)
                if claimed is not None:
                    self.judge(claimed)
                elif self.left:
                    self.come_back(self.left.pop())
                elif _is_finished(self.project):
                    return
                else:
                    time.sleep(0.01)
        except Exception as error:  # noqa: BLE001 - a thread's error is the test's
            self.errors.append(error)
        finally:
            connection.close()

    def judge(self, claimed: Assignment) -> None:
        fate = self.random.random()
        for passage_id in claimed.order:
            self.grade(claimed, passage_id)
            if fate < 0.2:  # gone in the middle; the lease runs out
                self.vanish(claimed)
                return
        if fate < 0.3:
            connection.close()
        self.submit(claimed, twice=fate < 0.5)

    def come_back(self, claimed: Assignment) -> None:
        if claimed.pk in self.done:  # the lease had not been swept up yet, and the queue gave it to them again
            return
        for passage_id in claimed.order:
            self.grade(claimed, passage_id)
        self.submit(claimed, twice=False)

    def grade(self, claimed: Assignment, passage_id: int) -> None:
        grade = self.random.randrange(4)
        key = f"{claimed.pk}-{passage_id}-{self.random.random()}"
        judgements.record(claimed, passage_id, grade, key=key)
        if self.random.random() < 0.2:  # the answer was lost on the way: the same key press again
            connection.close()
            judgements.record(claimed, passage_id, grade, key=key)
        self.saved[claimed.pk, passage_id] = grade

    def vanish(self, claimed: Assignment) -> None:
        Assignment.objects.filter(pk=claimed.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        self.left.append(claimed)
        self.random.shuffle(self.left)

    def submit(self, claimed: Assignment, *, twice: bool) -> None:
        first = judgements.submit(claimed, key=f"s{claimed.pk}")
        self.done.add(claimed.pk)
        if twice:
            assert judgements.submit(claimed, key=f"s{claimed.pk}") == first


def _is_finished(project: Project) -> bool:
    return not Assignment.objects.filter(project=project, state__in=["open", "claimed"]).exists()


@pytest.fixture
def crowd() -> Iterator[list[Client]]:
    corpus = Corpus.objects.create(slug="race", name="Race")
    project = Project.objects.create(slug="race", name="Race", corpus=corpus, overlap=OVERLAP, review_gap=9)
    document = Document.objects.create(corpus=corpus, external_id="d", content_hash="d")
    passages = [
        Passage.objects.create(corpus=corpus, document=document, external_id=f"d#{n}", text=f"{n}", content_hash=f"{n}")
        for n in range(SHOWN)
    ]
    queries = Query.objects.bulk_create(
        Query(project=project, external_id=f"q{n}", text=f"question {n}") for n in range(QUERIES)
    )
    hits = [Hit(passage.pk, rank, 1 / rank) for rank, passage in enumerate(passages, start=1)]
    intake.freeze_hits(queries, None, [hits] * QUERIES)
    assignments.create_open(project, queries)
    people = User.objects.bulk_create(User(username=f"p{n}") for n in range(16 if connection.vendor != "sqlite" else 8))
    Membership.objects.bulk_create(Membership(project=project, user=person) for person in people)
    yield [Client(person, project, random.Random(number)) for number, person in enumerate(people)]


def test_many_people_at_once(crowd: list[Client]) -> None:
    project, ends, over = crowd[0].project, time.monotonic() + PATIENCE, threading.Event()

    def sweep() -> None:
        while not over.wait(0.02):
            leases.expire_overdue()
        connection.close()

    threads = [threading.Thread(target=client.work, args=(ends,)) for client in crowd]
    sweeper = threading.Thread(target=sweep)
    for thread in (*threads, sweeper):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    sweeper.join()

    assert [error for client in crowd for error in client.errors] == []
    counted = Assignment.objects.submitted().filter(project=project, is_extra=False)
    slots = Counter(counted.values_list("query_id", "slot"))
    assert max(slots.values()) == 1, "a slot was filled twice"
    judges = Counter(counted.values_list("query_id", flat=True))
    assert set(judges.values()) == {OVERLAP} and len(judges) == QUERIES, "a query starved, or has one too many"
    turns = Counter(Assignment.objects.filter(curator__isnull=False).values_list("query_id", "curator_id"))
    assert max(turns.values()) == 1, "somebody had a query twice"

    kept = {(j.assignment_id, j.passage_id): j.grade for j in Judgement.objects.not_withdrawn()}
    saved = {place: grade for client in crowd for place, grade in client.saved.items()}
    assert {place: kept.get(place) for place in saved} == saved, "a grade was lost"
    assert set(project.queries.values_list("state", flat=True)) <= {Query.State.SETTLED, Query.State.IN_REVIEW}
    keys = Counter(Event.objects.exclude(idempotency_key="").values_list("actor_id", "idempotency_key"))
    assert max(keys.values()) == 1, "an act happened twice"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="writers queue for the whole database")
def test_nobody_waits_for_a_slot_that_is_being_taken(crowd: list[Client]) -> None:
    client, lost = crowd[0], []
    claimed = claims.claim_next(client.project, client.user)
    assert claimed is not None
    client.vanish(claimed)
    leases.expire_overdue()

    def come_back() -> None:
        try:
            leases.renew(claimed)
        except leases.LeaseLost:
            lost.append(claimed)
        finally:
            connection.close()

    thread = threading.Thread(target=come_back)
    with transaction.atomic():
        assert len(Assignment.objects.open().filter(query=claimed.query_id).select_for_update()) == OVERLAP
        thread.start()
        thread.join(10)
        assert lost == [claimed]
    thread.join()
