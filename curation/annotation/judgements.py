"""Judgements: grade passages, edit the answer, submit the work, undo the submit.

Every act locks the assignment, so that acts in two tabs of one person happen one after the other, and adds an event to
the audit log. An act whose idempotency key is known changes nothing and returns the same. Grades are kept whether the
lease runs or not; the lease decides only whether the submit counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from curation.annotation import claims, hot_reads, leases, re_annotation
from curation.annotation.assignments import NotYourAssignment, lock, take_free_slot
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.models import Answer, Assignment, Judgement, Query, Ranking, ShownPassage
from curation.review import consensus, gold
from retrieval.models import Passage

# How long a submit can be undone after the consensus has settled the query. With an overlap of one, a submit settles
# at once, and a slip would otherwise need a reviewer.
UNDO_SECONDS = 600
GRADES = range(4)

State, Selection = Assignment.State, Assignment.Selection


class NotEditable(CurationError):
    """The assignment is submitted or skipped, and cannot be changed."""


class UngradedPassages(CurationError):
    """Passages are left without a grade."""


class PassageNotShown(CurationError):
    """The passage is not among those to grade."""


class InvalidGrade(CurationError):
    """The grade is not 0, 1, 2 or 3."""


class AlreadySettled(CurationError):
    """The query is settled: only a reviewer can reopen it."""


@dataclass(frozen=True)
class Submitted:
    """The result of a submit. is_extra: the slot was filled by another person, so the work is kept but not counted."""

    assignment: Assignment
    is_extra: bool


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
    """Save the person's grade of a passage, new or changed. None means "can't tell".

    position: rank on the screen, from 1. seconds: active time since the last save, added up. evidence: spans
    [start, end) of the passage text; None keeps the earlier ones. Raises NotYourAssignment, NotEditable,
    PassageNotShown, InvalidGrade.
    """
    if grade is not None and grade not in GRADES:
        raise InvalidGrade(_("A grade is 0, 1, 2 or 3, not %(grade)s.") % {"grade": grade})
    try:
        with transaction.atomic():
            return _record(assignment, passage_id, grade, key, position, seconds, evidence)
    except (IntegrityError, NotEditable):  # this most frequent act looks for its key only where something went wrong
        if not audit_log.has_happened(assignment.curator_id, key):
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
    row = lock(assignment)
    _check_editable(row)
    if passage_id not in row.order:
        raise PassageNotShown(_("That passage is not among those to grade."))
    judgement = _find_or_build_judgement(row, passage_id)
    data: dict[str, Any] = {"grade": grade}
    if judgement.pk is not None:
        data["was"] = judgement.grade
    judgement.grade = grade
    judgement.active_seconds += max(seconds or 0.0, 0.0)
    if position is not None:
        judgement.shown_position = position
    if evidence is not None:
        judgement.evidence = data["evidence"] = [list(span) for span in evidence]
    _save_judgement(judgement)
    _record_event("graded", row, key, data, passage_id)
    _renew_lease(row, seconds)
    return judgement


def _save_judgement(judgement: Judgement) -> None:
    if judgement.pk is None:
        judgement.save(force_insert=True)
    else:
        judgement.save(update_fields=["grade", "active_seconds", "shown_position", "evidence", "changed_at"])


@transaction.atomic
def clear(assignment: Assignment, passage_id: int, key: str = "") -> None:
    """Remove the grade of a passage. It is unjudged again; the old grade stays in the audit log."""
    row = lock(assignment)
    if audit_log.has_happened(row.curator_id, key):
        return
    _check_editable(row)
    judgements = Judgement.objects.not_withdrawn().filter(assignment=row, passage_id=passage_id)
    grades = list(judgements.values_list("grade", flat=True))
    if grades:
        judgements.update(withdrawn_at=timezone.now())
        _record_event("cleared", row, key, {"was": grades[0]}, passage_id)
    _renew_lease(row)


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
    """Save the person's answer. None for citations or unsupported spans keeps the earlier ones.

    Returns None where the key is known and the answer has been deleted since.
    """
    row = lock(assignment)
    answer = hot_reads.answer_of_assignment.first(row.pk)
    if audit_log.has_happened(row.curator_id, key):
        return answer
    _check_editable(row)
    if answer is None:
        answer = _new_answer(row)
    elif _is_unchanged(answer, text, citations, unsupported):
        _renew_lease(row, seconds)
        return answer
    answer.text = text
    if citations is not None:
        answer.citations = list(citations)
    if unsupported is not None:
        answer.unsupported = [list(span) for span in unsupported]
    answer.save()
    data = {"text": text, "citations": answer.citations, "unsupported": answer.unsupported}
    _record_event("answered", row, key, data)
    _renew_lease(row, seconds)
    return answer


@transaction.atomic
def mark_unanswerable(assignment: Assignment, is_unanswerable: bool = True, *, key: str = "") -> Assignment:
    """Set or remove the mark that the corpus holds no answer."""
    row = lock(assignment)
    if audit_log.has_happened(row.curator_id, key):
        return row
    _check_editable(row)
    row.is_unanswerable = is_unanswerable
    row.save(update_fields=["is_unanswerable"])
    _record_event("marked_unanswerable", row, key, {"is_unanswerable": is_unanswerable})
    _renew_lease(row)
    return row


@transaction.atomic
def flag(assignment: Assignment, comment: str, *, is_flagged: bool = True, key: str = "") -> Assignment:
    """Set or remove a flag: after the submit, flagged work goes to a reviewer with the comment."""
    row = lock(assignment)
    if audit_log.has_happened(row.curator_id, key):
        return row
    _check_editable(row)
    row.is_flagged, row.comment = is_flagged, comment
    row.save(update_fields=["is_flagged", "comment"])
    _record_event("flagged", row, key, {"is_flagged": is_flagged, "comment": comment})
    _renew_lease(row)
    return row


@transaction.atomic
def add_passage(assignment: Assignment, passage_id: int, *, key: str = "") -> Assignment:
    """Add a passage that the search missed, last in the order. Later annotators of the query get it too.

    Raises PassageNotShown where the project's corpus has no such active passage.
    """
    row = lock(assignment)
    if audit_log.has_happened(row.curator_id, key) or passage_id in row.order:
        return row
    _check_editable(row)
    corpus = row.project.corpus_id
    if not Passage.objects.active().filter(pk=passage_id, corpus=corpus).exists():
        raise PassageNotShown(_("There is no such passage in this project's corpus."))
    row.ranking = row.ranking or Ranking.objects.create(query_id=row.query_id)
    _add_to_ranking(row.ranking, passage_id, _curator_id(row))
    row.order = [*row.order, passage_id]
    row.save(update_fields=["order", "ranking"])
    _record_event("added_passage", row, key, {}, passage_id)
    _renew_lease(row)
    return row


@transaction.atomic
def submit(assignment: Assignment, *, key: str = "") -> Submitted:
    """Submit the work. The last submit of the query's slots settles it. A second submit returns the first result.

    Without an answer of the person's own the draft counts as accepted. Raises UngradedPassages unless the work is
    flagged or marked unanswerable, NotEditable where it was skipped.
    """
    query = _lock_query(assignment)  # the last submits of one query wait for each other here
    row = lock(assignment)
    if row.state == State.SUBMITTED or audit_log.has_happened(row.curator_id, key):
        return _result(row)
    _check_editable(row)
    _check_graded(row)
    if row.state == State.EXPIRED or (row.is_extra and row.selection != Selection.GOLD):
        row.is_extra = not take_free_slot(row)
    was_sent_back = row.lease_until is None
    row.state, row.submitted_at, row.lease_until = State.SUBMITTED, timezone.now(), None
    row.comment = "" if was_sent_back and not row.is_flagged else row.comment
    row.save(update_fields=["state", "submitted_at", "lease_until", "is_extra", "slot", "comment"])
    _accept_draft(row)
    data: dict[str, Any] = {"is_extra": row.is_extra}
    if row.selection == Selection.GOLD:
        data["gold"] = gold.accuracy(row, query)
    _record_event("submitted", row, key, data)
    if not row.is_extra:
        query.project = row.project
        _settle(row, query)
    return _result(row)


@transaction.atomic
def undo_submit(assignment: Assignment, *, key: str = "") -> Assignment:
    """Undo the person's submit or skip: the assignment is claimed again, with its grades. Twice changes nothing.

    Raises AlreadySettled after a reviewer's decision, or UNDO_SECONDS after the consensus settled the query;
    claims.SlotTaken where another person has the slot of a skipped assignment.
    """
    query = _lock_query(assignment)
    row = lock(assignment)
    if row.state == State.CLAIMED or audit_log.has_happened(row.curator_id, key):
        return row
    if row.state == State.SKIPPED:
        return claims.undo_skip(row, key)
    if row.state != State.SUBMITTED:
        raise NotEditable(_("There is no submit to undo."))
    if row.selection == Selection.CONFIRMED:
        raise NotEditable(_("Undo confirmed grades on the page of suggested grades."))
    if not row.is_extra:
        _unsettle(row, query)
    row.state, row.submitted_at = State.CLAIMED, None
    row.lease_until = timezone.now() + timedelta(seconds=row.project.lease_seconds)
    row.save(update_fields=["state", "submitted_at", "lease_until"])
    _record_event("took_back", row, key, {})
    return row


@transaction.atomic
def withdraw(judgement: Judgement, *, key: str = "") -> Judgement:
    """Withdraw one submitted grade for good: the passage is unjudged by this person again. Raises AlreadySettled."""
    query = Query.objects.select_for_update(no_key=True).get(pk=judgement.query_id)
    row = lock(judgement.assignment)
    judgement.refresh_from_db()
    if judgement.withdrawn_at is not None or audit_log.has_happened(row.curator_id, key):
        return judgement
    if query.state == Query.State.SETTLED and row.selection != Selection.GOLD:
        raise AlreadySettled(_("This query is resolved. A reviewer can reopen it."))
    judgement.withdrawn_at = timezone.now()
    judgement.save(update_fields=["withdrawn_at"])
    _record_event("withdrew", row, key, {"was": judgement.grade}, judgement.passage_id)
    return judgement


def _lock_query(assignment: Assignment) -> Query:
    rows = Query.objects.select_for_update(no_key=True, of=("self",))
    query = rows.filter(assignments=assignment.pk).first()
    if query is None:
        raise NotYourAssignment(_("This assignment is not yours."))
    return query


def _find_or_build_judgement(row: Assignment, passage_id: int) -> Judgement:
    """Return the judgement of the passage; an unsaved one, with the hash of the text that is judged, where none is."""
    passage: Any = hot_reads.passage_to_grade.first(row.pk, passage_id, passage_id)
    judgement = hot_reads.judgement_by_id.first(passage.judgement_id) if passage.judgement_id else None
    return judgement or Judgement(
        assignment=row,
        query_id=row.query_id,
        passage_id=passage_id,
        curator_id=_curator_id(row),
        content_hash=passage.content_hash,
    )


def _add_to_ranking(ranking: Ranking, passage_id: int, user_id: int) -> None:
    """Add the passage at the last rank, where the ranking does not show it."""
    locked = Ranking.objects.select_for_update(no_key=True).get(pk=ranking.pk)  # ranks are unique
    last_rank = ShownPassage.objects.filter(ranking=locked).aggregate(last=Max("rank"))["last"] or 0
    ShownPassage.objects.get_or_create(
        ranking=locked, passage_id=passage_id, defaults={"rank": last_rank + 1, "added_by_id": user_id}
    )


def _result(row: Assignment) -> Submitted:
    """Return the result of a submit. It does not give away that a gold question fills no slot."""
    return Submitted(row, row.is_extra and row.selection != Selection.GOLD)


def _settle(row: Assignment, query: Query) -> None:
    if row.is_re_annotation and query.state != Query.State.OPEN:
        re_annotation.settle_if_complete(query, row)
    else:
        consensus.settle_if_complete(query)
    if query.project.re_annotates_edits:
        re_annotation.request_missing(query)


def _unsettle(row: Assignment, query: Query) -> None:
    if query.state == Query.State.SETTLED:
        since = timezone.now() - timedelta(seconds=UNDO_SECONDS)
        is_recent = row.submitted_at is not None and row.submitted_at >= since
        if not is_recent or not (row.is_re_annotation or consensus.is_by_consensus(query)):
            raise AlreadySettled(_("This query is resolved. A reviewer can reopen it."))
    if row.is_re_annotation:
        re_annotation.unsettle(query, row)
    elif query.state != Query.State.OPEN:
        consensus.unsettle(query)


def _check_editable(row: Assignment) -> None:
    if row.state == State.SUBMITTED:
        raise NotEditable(_("You have submitted this. Undo the submit first."))
    if row.state not in (State.CLAIMED, State.EXPIRED):
        raise NotEditable(_("You skipped this one."))


def _check_graded(row: Assignment) -> None:
    if row.is_flagged or row.is_unanswerable:
        return
    graded = {judgement.passage_id for judgement in hot_reads.standing_judgements.all(row.pk)}
    remaining = sum(passage_id not in graded for passage_id in row.order)
    if remaining:
        text = ngettext(
            "Grade the %(n)d remaining passage to submit.", "Grade the %(n)d remaining passages to submit.", remaining
        )
        raise UngradedPassages(text % {"n": remaining})


def _new_answer(row: Assignment) -> Answer:
    """Build the unsaved answer with the text of the draft."""
    draft = hot_reads.draft_of_ranking.first(row.ranking_id) if row.ranking_id else None
    text = draft.text if draft else ""
    return Answer(assignment=row, query_id=row.query_id, curator_id=_curator_id(row), draft=draft, text=text)


def _accept_draft(row: Assignment) -> None:
    """Save the draft as the person's answer where they wrote none."""
    if row.is_unanswerable or row.is_re_annotation or row.ranking_id is None:
        return
    if hot_reads.answer_of_assignment.first(row.pk) is None and (answer := _new_answer(row)).draft is not None:
        answer.save(force_insert=True)


def _renew_lease(row: Assignment, seconds: float | None = None) -> None:
    """Renew the lease, and add the active time. An expired claim is resumed while its slot is free."""
    if row.state == State.EXPIRED:
        leases.resume(row)
    if row.state == State.CLAIMED and row.lease_until is not None:
        row.lease_until = timezone.now() + timedelta(seconds=row.project.lease_seconds)
    row.active_seconds += max(seconds or 0.0, 0.0)
    row.save(update_fields=["lease_until", "active_seconds"])


def _curator_id(row: Assignment) -> int:
    assert row.curator_id is not None  # a constraint: only open rows have nobody
    return row.curator_id


def _record_event(verb: str, row: Assignment, key: str, data: dict[str, Any], passage_id: int | None = None) -> None:
    audit_log.record(
        verb,
        project=row.project_id,
        actor=row.curator_id,
        query=row.query_id,
        assignment=row,
        passage_id=passage_id,
        data=data,
        key=key,
    )


def _is_unchanged(
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
