"""A person confirms or refuses, as a batch, the grades that were passed on, and can take either back.

A confirmed one becomes a judgement of whoever confirmed it, in a turn of its own that takes no slot: the number of
people who judge a query blind stays what the project asked for. Where the query is settled it joins what is settled;
elsewhere it is one more voice when the last slot is submitted. A refused one is kept, and never offered again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from curation.core import audit_log
from curation.engine.statistics.relevance import nearest_grade
from curation.models import Assignment, Judgement, Project, Query, Review, SettledGrade, SuggestedGrade

State = SuggestedGrade.State


@dataclass(frozen=True)
class Decided:
    """done: as asked. overtaken: judged meanwhile, or its source is no longer settled so. left: waiting still,
    because the person is judging that query, or has given it back: somebody else decides."""

    done: int = 0
    overtaken: int = 0
    left: int = 0

    def __add__(self, other: Decided) -> Decided:
        return Decided(self.done + other.done, self.overtaken + other.overtaken, self.left + other.left)


Act = Callable[[Query, "list[SuggestedGrade]", AbstractBaseUser], Decided]


def confirm(project: Project, ids: Iterable[int], actor: AbstractBaseUser) -> Decided:
    """Each of these that waits becomes a judgement of the actor's; twice is once."""
    return _each_query(project, ids, actor, State.WAITING, _confirm)


def refuse(project: Project, ids: Iterable[int], actor: AbstractBaseUser) -> Decided:
    """Each of these that waits is refused for good; twice is once."""
    return _each_query(project, ids, actor, State.WAITING, _refuse)


def take_back(project: Project, ids: Iterable[int], actor: AbstractBaseUser) -> Decided:
    """Each of these that was confirmed or refused waits again; what it became is withdrawn, and stays readable."""
    done = _each_query(project, ids, actor, State.REFUSED, _take_back)
    return done + _each_query(project, ids, actor, State.CONFIRMED, _take_back)


def _each_query(project: Project, ids: Iterable[int], actor: AbstractBaseUser, state: str, act: Act) -> Decided:
    """Query by query, each locked and in a transaction of its own, in one order for everybody."""
    wanted: dict[int, list[int]] = defaultdict(list)
    rows = SuggestedGrade.objects.filter(project=project, pk__in=list(ids), state=state).order_by("query", "pk")
    for pk, query_id in rows.values_list("pk", "query_id"):
        wanted[query_id].append(pk)
    total = Decided()
    for query_id, pks in wanted.items():
        try:
            with transaction.atomic():
                query = Query.objects.select_for_update(no_key=True).get(pk=query_id)
                offers = SuggestedGrade.objects.filter(pk__in=pks, state=state).order_by("pk")
                total += act(query, list(offers), actor)
        except IntegrityError:  # the same person took the query to judge at this moment
            total += Decided(left=len(pks))
    return total


def _confirm(query: Query, offers: list[SuggestedGrade], actor: AbstractBaseUser) -> Decided:
    good = [offer for offer in offers if _still_holds(offer)]
    gone = [offer for offer in offers if offer not in good]
    for offer in gone:
        _decide(offer, State.OVERTAKEN, None)
    turn = _turn(query, good, actor) if good else None
    if turn is None:
        return Decided(overtaken=len(gone), left=len(good))
    review = Review.objects.current().filter(query=query).first()
    for offer in good:
        offer.judgement = Judgement.objects.create(
            assignment=turn,
            query=query,
            passage_id=offer.passage_id,
            curator_id=actor.pk,
            grade=offer.grade,
            content_hash=offer.passage.content_hash,
        )
        _decide(offer, State.CONFIRMED, actor)
        if review is not None:
            method = SettledGrade.Method.CONFIRMED
            SettledGrade.objects.create(review=review, passage_id=offer.passage_id, grade=offer.grade, method=method)
        _note("confirmed_grade", offer, actor, turn)
    return Decided(done=len(good), overtaken=len(gone))


def _refuse(query: Query, offers: list[SuggestedGrade], actor: AbstractBaseUser) -> Decided:
    for offer in offers:
        _decide(offer, State.REFUSED, actor)
        _note("refused_grade", offer, actor)
    return Decided(done=len(offers))


def _take_back(query: Query, offers: list[SuggestedGrade], actor: AbstractBaseUser) -> Decided:
    for offer in offers:
        turn = offer.judgement.assignment if offer.judgement else None
        _note("took_back_grade", offer, actor, turn)
        if offer.judgement is not None:
            Judgement.objects.filter(pk=offer.judgement.pk).update(withdrawn_at=timezone.now())
            settled = SettledGrade.objects.filter(review__query=query, passage=offer.passage_id)
            settled.filter(review__state="settled", method=SettledGrade.Method.CONFIRMED).delete()
        offer.judgement = None
        _decide(offer, State.WAITING, None)
    return Decided(done=len(offers))


def _still_holds(offer: SuggestedGrade) -> bool:
    """Whether nobody has judged the pair meanwhile, the passage reads as it did, and its source stands."""
    settled = SettledGrade.objects.filter(review__state="settled")
    given = Judgement.objects.submitted().filter(query=offer.query_id, passage=offer.passage_id)
    if given.exists() or settled.filter(review__query=offer.query_id, passage=offer.passage_id).exists():
        return False
    source = settled.filter(review__query=offer.from_query_id, passage=offer.from_passage_id).first()
    is_active = offer.passage.retired_at is None
    return is_active and source is not None and nearest_grade(source.grade) == offer.grade


def _turn(query: Query, offers: list[SuggestedGrade], actor: AbstractBaseUser) -> Assignment | None:
    """What the judgements hang on: the person's submitted turn at the query, or a new one beside the slots.

    None while the person holds the query, or after they gave it back: nobody has two turns at one query.
    """
    had = Assignment.objects.filter(query=query, curator_id=actor.pk, is_re_annotation=False).first()
    if had is not None:
        return had if had.state == Assignment.State.SUBMITTED else None
    now = timezone.now()
    return Assignment.objects.create(
        project_id=query.project_id,
        query=query,
        slot=0,
        is_extra=True,
        state=Assignment.State.SUBMITTED,
        curator_id=actor.pk,
        selection=Assignment.Selection.CONFIRMED,
        order=[offer.passage_id for offer in offers],
        claimed_at=now,
        submitted_at=now,
    )


def _decide(offer: SuggestedGrade, state: str, actor: AbstractBaseUser | None) -> None:
    offer.state, offer.decided_by_id = state, actor.pk if actor else None
    offer.decided_at = None if state == State.WAITING else timezone.now()
    offer.save(update_fields=["state", "decided_by", "decided_at", "judgement"])


def _note(verb: str, offer: SuggestedGrade, actor: AbstractBaseUser, turn: Assignment | None = None) -> None:
    data = {
        "grade": offer.grade,
        "kind": offer.kind,
        "from_query": offer.from_query_id,
        "from_passage": offer.from_passage_id,
        "similarity": offer.similarity,
    }
    audit_log.note(
        verb,
        project=offer.project_id,
        actor=actor,
        query=offer.query_id,
        assignment=turn,
        passage_id=offer.passage_id,
        data=data,
    )
