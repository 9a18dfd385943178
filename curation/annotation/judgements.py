"""Grade, change, take back; answer; submit.

Every act locks the assignment, so what one person does in two tabs happens one after the other, and adds a
line to the record. An act whose idempotency key has been seen changes nothing and returns the same. A grade is
kept whether the lease still runs or not; what the lease decides is only whether the submit counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Max, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config.compiled import Compiled, insert, update
from curation.annotation import assignments
from curation.annotation.assignments import NotYours
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.models import Answer, Assignment, Draft, Judgement, Query, Ranking, ShownPassage
from curation.review import consensus, re_annotation
from retrieval.models import Passage

# For so long a submit can be undone even though the consensus has settled the query meanwhile: with an overlap
# of one it settles at once, and a slip of the finger would otherwise need a reviewer.
UNDO_SECONDS = 600
GRADES = range(4)

State, Selection = Assignment.State, Assignment.Selection

_seen = Compiled(
    lambda row, passage: Passage.objects.filter(pk=passage).values_list(
        "content_hash",
        Subquery(Judgement.objects.standing().filter(assignment=row, passage=passage).order_by("-pk").values("pk")[:1]),
    )
)
_judgement = Compiled(lambda pk: Judgement.objects.filter(pk=pk))
_graded = Compiled(lambda row: Judgement.objects.standing().filter(assignment=row).values_list("passage_id", flat=True))
_answered = Compiled(lambda row: Answer.objects.filter(assignment=row).values_list("pk"))
_drafted = Compiled(lambda ranking: Draft.objects.filter(ranking=ranking))
_query_of = Compiled(lambda row: Query.objects.select_for_update(no_key=True, of=("self",)).filter(assignments=row))


class NotInHand(CurationError):
    """The assignment was submitted or given back: it takes no more grades."""


class NotGraded(CurationError):
    """Passages are left without a grade."""


class NotShown(CurationError):
    """The passage was not among those shown."""


class BadGrade(CurationError):
    """A grade outside 0–3."""


class AlreadySettled(CurationError):
    """The query has been settled: only a reviewer can open it again."""


@dataclass(frozen=True)
class Submitted:
    """What became of a submit. is_extra: its slot was filled meanwhile, so it is kept and not counted."""

    assignment: Assignment
    is_extra: bool


def mine(user: AbstractBaseUser, assignment_id: int) -> Assignment:
    """The person's own assignment. Raises NotYours for anybody else's, and for one that is not there."""
    rows = Assignment.objects.select_related("project", "query")
    found = rows.filter(pk=assignment_id, curator_id=user.pk).first()
    if found is None:
        raise NotYours(_("This is not yours to judge."))
    return found


def record(
    assignment: Assignment,
    passage_id: int,
    grade: int | None,
    *,
    key: str = "",
    position: int | None = None,
    seconds: float | None = None,
    evidence: Sequence[Sequence[int]] | None = None,
) -> Judgement:
    """The person's grade of a passage, new or changed; none is can't tell.

    position: where it stood on the screen, from 1. seconds: looked at since the last grade of it, added up.
    evidence: spans [start, end) of its text; not given, they stay as they were. Raises NotYours, NotInHand, NotShown,
    BadGrade.
    """
    if grade is not None and grade not in GRADES:
        raise BadGrade(_("A grade is 0, 1, 2 or 3, not %(grade)s.") % {"grade": grade})
    try:
        with transaction.atomic():
            return _record(assignment, passage_id, grade, key, position, seconds, evidence)
    except (IntegrityError, NotInHand):  # the most frequent act asks only afterwards whether its key had been there
        if not audit_log.happened(assignment.curator_id, key):
            raise
    return Judgement.objects.filter(assignment=assignment.pk, passage_id=passage_id).order_by("-pk")[0]


def _record(
    assignment: Assignment,
    passage_id: int,
    grade: int | None,
    key: str,
    position: int | None,
    seconds: float | None,
    evidence: Sequence[Sequence[int]] | None,
) -> Judgement:
    row = assignments.locked(assignment)
    _check_in_hand(row)
    content_hash, standing = _seen.first(row.pk, passage_id) or ("", None)
    judgement = _judgement.first(standing) if standing else None
    data: dict[str, Any] = {"grade": grade}
    if judgement is None:
        _check_shown(row, passage_id)
        judgement = Judgement(
            assignment=row,
            query_id=row.query_id,
            passage_id=passage_id,
            curator_id=_holder(row),
            content_hash=content_hash,
        )
    else:
        data["was"] = judgement.grade
    judgement.grade = grade
    judgement.active_seconds += max(seconds or 0.0, 0.0)
    if position is not None:
        judgement.shown_position = position
    if evidence is not None:
        judgement.evidence = data["evidence"] = [list(span) for span in evidence]
    if judgement.pk is None:
        insert(judgement)
    else:
        update(judgement, "grade", "active_seconds", "shown_position", "evidence", "changed_at")
    _note("graded", row, key, data, passage_id)
    _sign_of_life(row, seconds)
    return judgement


@transaction.atomic
def clear(assignment: Assignment, passage_id: int, key: str = "") -> None:
    """Take the grade of a passage away: it is unjudged again, and the old grade stays in the history."""
    row = assignments.locked(assignment)
    if audit_log.happened(row.curator_id, key):
        return
    _check_in_hand(row)
    standing = Judgement.objects.standing().filter(assignment=row, passage_id=passage_id)
    was = list(standing.values_list("grade", flat=True))
    if was:
        standing.update(withdrawn_at=timezone.now())
        _note("cleared", row, key, {"was": was[0]}, passage_id)
    _sign_of_life(row)


@transaction.atomic
def write_answer(
    assignment: Assignment,
    text: str,
    *,
    key: str = "",
    citations: Sequence[dict[str, Any]] | None = None,
    unsupported: Sequence[Sequence[int]] | None = None,
    seconds: float | None = None,
) -> Answer | None:
    """The person's answer as it now reads; citations and unsupported spans that are not given stay as they were.

    None when the key was seen and the answer is gone meanwhile.
    """
    row = assignments.locked(assignment)
    answer = Answer.objects.filter(assignment=row).first()
    if audit_log.happened(row.curator_id, key):
        return answer
    _check_in_hand(row)
    if answer is None:
        draft = Draft.objects.filter(ranking=row.ranking_id).first() if row.ranking_id else None
        answer = Answer(assignment=row, query_id=row.query_id, curator_id=_holder(row), draft=draft)
    elif _is_same(answer, text, citations, unsupported):
        _sign_of_life(row, seconds)
        return answer
    answer.text = text
    if citations is not None:
        answer.citations = list(citations)
    if unsupported is not None:
        answer.unsupported = [list(span) for span in unsupported]
    answer.save()
    _note("answered", row, key, {"text": text, "citations": answer.citations, "unsupported": answer.unsupported})
    _sign_of_life(row, seconds)
    return answer


@transaction.atomic
def mark_unanswerable(assignment: Assignment, is_unanswerable: bool = True, *, key: str = "") -> Assignment:
    """Say that the corpus holds no answer, or take that back."""
    row = assignments.locked(assignment)
    if audit_log.happened(row.curator_id, key):
        return row
    _check_in_hand(row)
    row.is_unanswerable = is_unanswerable
    row.save(update_fields=["is_unanswerable"])
    _note("marked_unanswerable", row, key, {"is_unanswerable": is_unanswerable})
    _sign_of_life(row)
    return row


@transaction.atomic
def flag(assignment: Assignment, comment: str, *, is_flagged: bool = True, key: str = "") -> Assignment:
    """Send it to a reviewer with a comment, once submitted; or take the flag down."""
    row = assignments.locked(assignment)
    if audit_log.happened(row.curator_id, key):
        return row
    _check_in_hand(row)
    row.is_flagged, row.comment = is_flagged, comment
    row.save(update_fields=["is_flagged", "comment"])
    _note("flagged", row, key, {"is_flagged": is_flagged, "comment": comment})
    _sign_of_life(row)
    return row


@transaction.atomic
def add_passage(assignment: Assignment, passage_id: int, *, key: str = "") -> Assignment:
    """Put a passage that the search missed among those to grade, last; whoever claims the query later sees it too."""
    row = assignments.locked(assignment)
    if audit_log.happened(row.curator_id, key) or passage_id in row.order:
        return row
    _check_in_hand(row)
    corpus = row.project.corpus_id
    if not Passage.objects.active().filter(pk=passage_id, corpus=corpus).exists():
        raise NotShown(_("There is no such passage in this project's corpus."))
    row.ranking = row.ranking or Ranking.objects.create(query_id=row.query_id)
    ranking = Ranking.objects.select_for_update(no_key=True).get(pk=row.ranking.pk)  # one adds after the other
    last = ShownPassage.objects.filter(ranking=ranking).aggregate(last=Max("rank"))["last"] or 0
    ShownPassage.objects.get_or_create(
        ranking=ranking, passage_id=passage_id, defaults={"rank": last + 1, "added_by_id": row.curator_id}
    )
    row.order = [*row.order, passage_id]
    row.save(update_fields=["order", "ranking"])
    _note("added_passage", row, key, {}, passage_id)
    _sign_of_life(row)
    return row


@transaction.atomic
def submit(assignment: Assignment, *, key: str = "") -> Submitted:
    """Hand the work in. A second submit is the first one again; the last of the query's slots settles it.

    Without an answer of the person's own the draft counts as accepted. Raises NotGraded when passages are left,
    unless it is flagged or marked unanswerable; NotInHand when it was given back.
    """
    query = _locked_query(assignment)  # last submits wait here
    row = assignments.locked(assignment)
    if row.state == State.SUBMITTED or audit_log.happened(row.curator_id, key):
        return _submitted(row)
    _check_in_hand(row)
    _check_graded(row)
    if row.state == State.EXPIRED or (row.is_extra and row.selection != Selection.GOLD):
        row.is_extra = not assignments.take_free_slot(row)
    was_returned = row.lease_until is None
    row.state, row.submitted_at, row.lease_until = State.SUBMITTED, timezone.now(), None
    row.comment = "" if was_returned and not row.is_flagged else row.comment
    update(row, "state", "submitted_at", "lease_until", "is_extra", "slot", "comment")
    _accept_draft(row)
    data: dict[str, Any] = {"is_extra": row.is_extra}
    if row.selection == Selection.GOLD:
        data["gold"] = consensus.gold_result(row, query)
    _note("submitted", row, key, data)
    if not row.is_extra:
        query.project = row.project
        _consider(row, query)
    return _submitted(row)


@transaction.atomic
def undo_submit(assignment: Assignment, *, key: str = "") -> Assignment:
    """Undo one's submit, skip or hand back: the work is in hand again, with its grades. Twice is once.

    Raises AlreadySettled once a reviewer has decided, or the consensus has stood for UNDO_SECONDS; assigning.Taken
    when what was given back has gone to others.
    """
    query = _locked_query(assignment)
    row = assignments.locked(assignment)
    if row.state == State.CLAIMED or audit_log.happened(row.curator_id, key):
        return row
    if row.state == State.SKIPPED:
        return assignments.take_up(row, key)
    if row.state != State.SUBMITTED:
        raise NotInHand(_("There is no submit to take back."))
    if row.selection == Selection.CONFIRMED:
        raise NotInHand(_("Grades that you confirmed are taken back where you confirmed them."))
    if not row.is_extra:
        _open_again(row, query)
    row.state, row.submitted_at = State.CLAIMED, None
    row.lease_until = timezone.now() + timedelta(seconds=row.project.lease_seconds)
    row.save(update_fields=["state", "submitted_at", "lease_until"])
    _note("took_back", row, key, {})
    return row


@transaction.atomic
def withdraw(judgement: Judgement, *, key: str = "") -> Judgement:
    """Take one submitted grade back for good; the passage is unjudged by this person again.

    Raises AlreadySettled: after that, a reviewer reopens the query.
    """
    query = Query.objects.select_for_update(no_key=True).get(pk=judgement.query_id)
    row = assignments.locked(judgement.assignment)
    judgement.refresh_from_db()
    if judgement.withdrawn_at is not None or audit_log.happened(row.curator_id, key):
        return judgement
    if query.state == Query.State.SETTLED and row.selection != Selection.GOLD:
        raise AlreadySettled(_("This query is settled. A reviewer can open it again."))
    judgement.withdrawn_at = timezone.now()
    judgement.save(update_fields=["withdrawn_at"])
    _note("withdrew", row, key, {"was": judgement.grade}, judgement.passage_id)
    return judgement


def _locked_query(assignment: Assignment) -> Query:
    query = _query_of.first(assignment.pk)
    if query is None:
        raise NotYours(_("This is not yours to judge."))
    return query


def _submitted(row: Assignment) -> Submitted:
    """Of a gold question nobody is told that it takes no slot."""
    return Submitted(row, row.is_extra and row.selection != Selection.GOLD)


def _consider(row: Assignment, query: Query) -> None:
    if row.is_re_annotation and query.state != Query.State.OPEN:
        re_annotation.consider(query, row)
    else:
        consensus.consider(query)
    if query.project.re_annotates_edits:
        re_annotation.catch_up(query)


def _open_again(row: Assignment, query: Query) -> None:
    if query.state == Query.State.SETTLED:
        since = timezone.now() - timedelta(seconds=UNDO_SECONDS)
        is_fresh = row.submitted_at is not None and row.submitted_at >= since
        if not is_fresh or not (row.is_re_annotation or consensus.is_by_consensus(query)):
            raise AlreadySettled(_("This query is settled. A reviewer can open it again."))
    if row.is_re_annotation:
        re_annotation.undo(query, row)
    elif query.state != Query.State.OPEN:
        consensus.undo(query)


def _check_in_hand(row: Assignment) -> None:
    if row.state == State.SUBMITTED:
        raise NotInHand(_("You have submitted this. Take it back first."))
    if row.state not in (State.CLAIMED, State.EXPIRED):
        raise NotInHand(_("You have given this back."))


def _check_graded(row: Assignment) -> None:
    if row.is_flagged or row.is_unanswerable:
        return
    graded = set(_graded(row.pk))
    left = sum(passage_id not in graded for passage_id in row.order)
    if left:
        text = ngettext("%(n)d passage has no grade yet.", "%(n)d passages have no grade yet.", left)
        raise NotGraded(text % {"n": left})


def _accept_draft(row: Assignment) -> None:
    if row.is_unanswerable or row.is_re_annotation or row.ranking_id is None or _answered(row.pk):
        return
    draft = _drafted.first(row.ranking_id)
    if draft is not None:
        insert(Answer(assignment=row, query_id=row.query_id, curator_id=_holder(row), draft=draft, text=draft.text))


def _check_shown(row: Assignment, passage_id: int) -> None:
    if passage_id not in row.order:
        raise NotShown(_("That passage is not among those to grade."))


def _sign_of_life(row: Assignment, seconds: float | None = None) -> None:
    """The lease runs anew with everything the person does; a lapsed slot is taken up again while it is free."""
    if row.state == State.EXPIRED:
        assignments.resume(row)
    if row.state == State.CLAIMED and row.lease_until is not None:
        row.lease_until = timezone.now() + timedelta(seconds=row.project.lease_seconds)
    row.active_seconds += max(seconds or 0.0, 0.0)
    update(row, "lease_until", "active_seconds")


def _holder(row: Assignment) -> int:
    assert row.curator_id is not None  # a constraint: only open rows have nobody
    return row.curator_id


def _note(verb: str, row: Assignment, key: str, data: dict[str, Any], passage_id: int | None = None) -> None:
    audit_log.note(
        verb,
        project=row.project_id,
        actor=row.curator_id,
        query=row.query_id,
        assignment=row,
        passage_id=passage_id,
        data=data,
        key=key,
    )


def _is_same(
    answer: Answer,
    text: str,
    citations: Sequence[dict[str, Any]] | None,
    unsupported: Sequence[Sequence[int]] | None,
) -> bool:
    return (
        answer.text == text
        and (citations is None or answer.citations == list(citations))
        and (unsupported is None or answer.unsupported == [list(span) for span in unsupported])
    )
