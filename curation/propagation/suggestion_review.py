"""Suggestion review: a person confirms or rejects suggested grades, in batches, and can undo either.

A confirmed suggestion becomes a judgement of that person, in an assignment of its own that fills no slot: the number
of people who judge a query blind stays what the project asks for. In a settled query it joins the settled grades; in
another it counts as one more grade when the last slot is submitted. A rejected suggestion is kept and not made again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from curation.annotation import assignments
from curation.core import audit_log
from curation.engine.statistics.relevance import nearest_grade
from curation.models import Assignment, Judgement, Project, Query, Review, SettledGrade, SuggestedGrade

State = SuggestedGrade.State


@dataclass(frozen=True)
class Decided:
    """Numbers of suggested grades.

    done: decided as asked. overtaken: judged in the meantime, or the source is no longer settled with this grade.
    skipped: still waiting, because the person judges that query or has skipped it, and another person has to decide.
    """

    done: int = 0
    overtaken: int = 0
    skipped: int = 0

    def __add__(self, other: Decided) -> Decided:
        return Decided(self.done + other.done, self.overtaken + other.overtaken, self.skipped + other.skipped)


Act = Callable[[Query, "list[SuggestedGrade]", AbstractBaseUser], Decided]


def confirm(project: Project, ids: Iterable[int], actor: AbstractBaseUser) -> Decided:
    """Turn each waiting suggestion of these into a judgement of the actor. Confirming twice changes nothing."""
    return _decide_by_query(project, ids, actor, State.WAITING, _confirm)


def reject(project: Project, ids: Iterable[int], actor: AbstractBaseUser) -> Decided:
    """Reject each waiting suggestion of these. Rejecting twice changes nothing."""
    return _decide_by_query(project, ids, actor, State.WAITING, _reject)


def undo(project: Project, ids: Iterable[int], actor: AbstractBaseUser) -> Decided:
    """Let each confirmed or rejected suggestion of these wait again. Its judgement is withdrawn and stays readable."""
    rejected = _decide_by_query(project, ids, actor, State.REFUSED, _undo)
    return rejected + _decide_by_query(project, ids, actor, State.CONFIRMED, _undo)


def _decide_by_query(project: Project, ids: Iterable[int], actor: AbstractBaseUser, state: str, act: Act) -> Decided:
    """Run the act query by query, each locked and in its own transaction, in the order of their ids."""
    by_query: dict[int, list[int]] = defaultdict(list)
    rows = SuggestedGrade.objects.filter(project=project, pk__in=list(ids), state=state).order_by("query", "pk")
    for pk, query_id in rows.values_list("pk", "query_id"):
        by_query[query_id].append(pk)
    total = Decided()
    for query_id, pks in by_query.items():
        try:
            with transaction.atomic():
                query = Query.objects.select_for_update(no_key=True).get(pk=query_id)
                suggestions = SuggestedGrade.objects.filter(pk__in=pks, state=state).order_by("pk")
                total += act(query, list(suggestions), actor)
        except IntegrityError:  # the same person claimed the query at this moment
            total += Decided(skipped=len(pks))
    return total


def _confirm(query: Query, suggestions: list[SuggestedGrade], actor: AbstractBaseUser) -> Decided:
    valid = [suggestion for suggestion in suggestions if _is_valid(suggestion)]
    overtaken = [suggestion for suggestion in suggestions if suggestion not in valid]
    for suggestion in overtaken:
        _save_state(suggestion, State.OVERTAKEN, None)
    assignment = _assignment_for(query, valid, actor) if valid else None
    if assignment is None:
        return Decided(overtaken=len(overtaken), skipped=len(valid))
    review = Review.objects.current().filter(query=query).first()
    for suggestion in valid:
        suggestion.judgement = _judge(suggestion, assignment, actor)
        _save_state(suggestion, State.CONFIRMED, actor)
        if review is not None:
            _settle(review, suggestion)
        _record("confirmed_grade", suggestion, actor, assignment)
    return Decided(done=len(valid), overtaken=len(overtaken))


def _judge(suggestion: SuggestedGrade, assignment: Assignment, actor: AbstractBaseUser) -> Judgement:
    """Create the judgement that the confirmed suggestion becomes."""
    return Judgement.objects.create(
        assignment=assignment,
        query_id=suggestion.query_id,
        passage_id=suggestion.passage_id,
        curator_id=actor.pk,
        grade=suggestion.grade,
        content_hash=suggestion.passage.content_hash,
    )


def _settle(review: Review, suggestion: SuggestedGrade) -> None:
    """Add the confirmed grade to the settled grades of the review."""
    SettledGrade.objects.create(
        review=review,
        passage_id=suggestion.passage_id,
        grade=suggestion.grade,
        method=SettledGrade.Method.CONFIRMED,
    )


def _reject(query: Query, suggestions: list[SuggestedGrade], actor: AbstractBaseUser) -> Decided:
    for suggestion in suggestions:
        _save_state(suggestion, State.REFUSED, actor)
        _record("refused_grade", suggestion, actor)
    return Decided(done=len(suggestions))


def _undo(query: Query, suggestions: list[SuggestedGrade], actor: AbstractBaseUser) -> Decided:
    for suggestion in suggestions:
        assignment = suggestion.judgement.assignment if suggestion.judgement else None
        _record("took_back_grade", suggestion, actor, assignment)
        if suggestion.judgement is not None:
            Judgement.objects.filter(pk=suggestion.judgement.pk).update(withdrawn_at=timezone.now())
            settled = SettledGrade.objects.filter(review__query=query, passage=suggestion.passage_id)
            settled.filter(review__state="settled", method=SettledGrade.Method.CONFIRMED).delete()
        suggestion.judgement = None
        _save_state(suggestion, State.WAITING, None)
    return Decided(done=len(suggestions))


def _is_valid(suggestion: SuggestedGrade) -> bool:
    """Whether the passage is still unjudged and unchanged, and the source still settled with this grade."""
    settled = SettledGrade.objects.filter(review__state="settled")
    submitted = Judgement.objects.submitted().filter(query=suggestion.query_id, passage=suggestion.passage_id)
    is_settled = settled.filter(review__query=suggestion.query_id, passage=suggestion.passage_id).exists()
    if is_settled or submitted.exists():
        return False
    source = settled.filter(review__query=suggestion.from_query_id, passage=suggestion.from_passage_id).first()
    is_active = suggestion.passage.retired_at is None
    return is_active and source is not None and nearest_grade(source.grade) == suggestion.grade


def _assignment_for(query: Query, suggestions: list[SuggestedGrade], actor: AbstractBaseUser) -> Assignment | None:
    """Return the assignment of the confirmed judgements: the person's submitted one, or a new one beside the slots.

    None while the person holds a claim of the query, or after they skipped it: nobody has two assignments of a query.
    """
    own = Assignment.objects.filter(query=query, curator_id=actor.pk, is_re_annotation=False).first()
    if own is not None:
        return own if own.state == Assignment.State.SUBMITTED else None
    return assignments.create_confirmed(query, actor, [suggestion.passage_id for suggestion in suggestions])


def _save_state(suggestion: SuggestedGrade, state: str, actor: AbstractBaseUser | None) -> None:
    suggestion.state, suggestion.decided_by_id = state, actor.pk if actor else None
    suggestion.decided_at = None if state == State.WAITING else timezone.now()
    suggestion.save(update_fields=["state", "decided_by", "decided_at", "judgement"])


def _record(
    verb: str, suggestion: SuggestedGrade, actor: AbstractBaseUser, assignment: Assignment | None = None
) -> None:
    data = {
        "grade": suggestion.grade,
        "kind": suggestion.kind,
        "from_query": suggestion.from_query_id,
        "from_passage": suggestion.from_passage_id,
        "similarity": suggestion.similarity,
    }
    audit_log.record(
        verb,
        project=suggestion.project_id,
        actor=actor,
        query=suggestion.query_id,
        assignment=assignment,
        passage_id=suggestion.passage_id,
        data=data,
    )
