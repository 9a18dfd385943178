"""Who gets what: claim, renew, hand back, expire.

A slot of a query is one row of the database, held by one person at most. A claim locks the row it takes and
skips the rows that others are taking (SQLite: writers queue, and the update is conditional), so two people
never hold one slot. Nothing here scans more than a window of the queue, whatever its length.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, models, transaction
from django.db.models import Case, When
from django.utils import timezone
from django.utils.translation import gettext as _

from config.compiled import Compiled, update
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.core.labels import Reason, because
from curation.core.permissions import membership_of
from curation.models import (
    Assignment,
    AssignmentQuerySet,
    Event,
    Guidelines,
    Membership,
    Project,
    Query,
    Ranking,
    ShownPassage,
)

WINDOW = 100  # rows of the queue's head that are looked at for something the person has not had
_ATTEMPTS = 5
_EXPIRED_AT_ONCE = 500
_TAKEN = (
    "state",
    "curator",
    "ranking",
    "selection",
    "reasons",
    "reason_text",
    "claimed_at",
    "lease_until",
    "guidelines",
    "order",
)
_LEAVINGS = ["skipped", "handed_back", "reassigned"]  # how an assignment leaves its holder for good

State, Selection = Assignment.State, Assignment.Selection

_locked = Compiled(lambda pk: Assignment.objects.select_for_update(no_key=True, of=("self",)).filter(pk=pk))
_held = Compiled(
    lambda project, user: (
        Assignment.objects.held_by(user)
        .filter(project=project)
        .order_by("claimed_at")
        .select_for_update(no_key=True, of=("self",))
    )
)
_most_valuable = Compiled(
    lambda project, user: _first(_head(_open(project).filter(priority__gt=0), "-priority"), user, "-priority")
)
_first_at_random = Compiled(lambda project, user: _first(_head(_open(project), "random_key"), user, "random_key"))
_at_random_from = Compiled(
    lambda project, user, random_key: _first(_open(project).filter(random_key__gte=random_key), user, "random_key")
)
_at_random_below = Compiled(
    lambda project, user, random_key: _first(_open(project).filter(random_key__lt=random_key), user, "random_key")
)
_member = Compiled(
    lambda project, user: Membership.objects.select_for_update(no_key=True, of=("self",)).filter(
        project=project, user_id=user
    )
)
_newest_guidelines = Compiled(
    lambda project: Guidelines.objects.filter(project=project).order_by("-version").values_list("pk", flat=True)[:1]
)
_newest_ranking = Compiled(
    lambda query: Ranking.objects.filter(query=query).order_by("-pk").values_list("pk", flat=True)[:1]
)
_ranked = Compiled(
    lambda ranking: ShownPassage.objects.filter(ranking=ranking).order_by("rank").values_list("passage_id", flat=True)
)


class NotNow(CurationError):
    """The person may not claim at the moment."""


class Paused(NotNow):
    """Somebody has paused this person."""


class QuotaReached(NotNow):
    """The person's quota of the day is full."""


class NothingOpen(CurationError):
    """Every slot of the query is taken."""


class HadBefore(CurationError):
    """The person has had this query: nobody gets one twice."""


class LeaseLost(CurationError):
    """The lease ran out and somebody else has the slot. What was graded is kept; a submit counts as an extra."""


class NotYours(CurationError):
    """Somebody else holds the assignment, or nobody does, or it is not there."""


class NotHeld(CurationError):
    """The assignment is not in anybody's hands."""


class Taken(CurationError):
    """What the person gave back has gone to somebody else."""


def claim_next(project: Project, user: AbstractBaseUser, *, beside: int | None = None) -> Assignment | None:
    """What the person is to judge now: what they hold already, else a new claim; none when nothing is left.

    beside: an assignment they hold, so that the one after it can be fetched ahead. Asked twice, it gives the
    same one twice, so a retry after a cut connection hoards nothing. Raises Paused or QuotaReached.
    """
    for _attempt in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                return _claim_next(project, user, beside)
        except IntegrityError:  # the same person took the same query through another door
            continue
    return None


def claim(query: Query, user: AbstractBaseUser) -> Assignment:
    """One slot of this query for the person; the one they hold already. Raises NothingOpen, HadBefore, NotNow."""
    with transaction.atomic():
        membership = _membership(query.project, user)
        had = Assignment.objects.filter(query=query, curator_id=user.pk, is_re_annotation=False).first()
        if had is not None and had.state == State.CLAIMED:
            return _prolong(had, query.project)
        if had is not None:
            raise HadBefore(_("You have had this query before."))
        _check_may_claim(query.project, user, membership, held=0)
        slots = Assignment.objects.open().filter(query=query, is_re_annotation=False).order_by("slot")
        found = slots.select_for_update(skip_locked=True, of=("self",)).first()
        if found is None:
            raise NothingOpen(_("Every slot of this query is taken."))
        return _take(found, query.project, user, Selection.CHOSEN, [because("chosen")])


@transaction.atomic
def renew(assignment: Assignment) -> Assignment:
    """A sign of life: the lease runs anew. A lapsed one is taken up again while its slot is free, else LeaseLost."""
    row = locked(assignment)
    if row.state == State.CLAIMED:
        return _prolong(row, row.project)
    if row.state != State.EXPIRED:
        raise NotHeld(_("This is not in your hands any more."))
    if not resume(row):
        raise LeaseLost(_("Your time ran out and somebody else has this query. What you graded is kept."))
    return row


def hand_back(assignment: Assignment, reason: str = "", *, actor: AbstractBaseUser | None = None) -> Assignment:
    """Give the slot to somebody else; what was graded is kept. Twice is once. Raises NotHeld after a submit.

    actor: who did it, where it was not the holder.
    """
    return _give_up(assignment, reason, "handed_back", actor)


def skip(assignment: Assignment, reason: str = "") -> Assignment:
    """Pass on the query for a reason; the slot goes to somebody else."""
    return _give_up(assignment, reason, "skipped")


def take_up(row: Assignment, key: str = "") -> Assignment:
    """Undo one's own skip or hand back of a row that its caller has locked; as it was before, with its comment.

    Raises Taken when every slot of the query is held by now, NotHeld when somebody else took it from the person.
    """
    last = Event.objects.filter(assignment=row, verb__in=_LEAVINGS).order_by("-pk").first()
    if last is None or last.verb == "reassigned" or last.actor_id != row.curator_id:
        raise NotHeld(_("This was taken from you, not given back by you."))
    if not row.is_extra and not take_free_slot(row):
        raise Taken(_("Somebody else has this query by now. What you graded is kept."))
    row.state, row.comment = State.CLAIMED, last.data.get("was", "")
    row.lease_until = timezone.now() + timedelta(seconds=row.project.lease_seconds)
    row.save(update_fields=["slot", "is_extra", "state", "lease_until", "comment"])
    audit_log.note("took_up", project=row.project, actor=row.curator_id, query=row.query_id, assignment=row, key=key)
    return row


def expire(now: datetime | None = None) -> int:
    """Free the slots whose lease is over; how many. What their holders graded is kept."""
    when = now or timezone.now()
    count = 0
    while True:
        with transaction.atomic():
            overdue = Assignment.objects.filter(state=State.CLAIMED, lease_until__lt=when).order_by("lease_until")
            rows = list(overdue.select_for_update(skip_locked=True, of=("self",))[:_EXPIRED_AT_ONCE])
            lapse(rows)
        count += len(rows)
        if len(rows) < _EXPIRED_AT_ONCE:
            return count


def lapse(rows: Sequence[Assignment]) -> None:
    """Take claimed rows, locked by the caller, from their holders: each leaves a fresh open row in its slot."""
    Assignment.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.EXPIRED)
    Assignment.objects.bulk_create([_fresh(row) for row in rows if not row.is_extra])
    audit_log.note_many("lapsed", rows)


@transaction.atomic
def prefer(query: Query, priority: float, reasons: Sequence[Reason]) -> int:
    """Put the query's open slots where their value belongs, with what says why; how many there were.

    The evaluation sample is never steered: its queries keep the value 0.
    """
    if query.is_evaluation:
        return 0
    return (
        Assignment.objects.open().filter(query=query).update(priority=priority, reasons=list(reasons), reason_text="")
    )


@transaction.atomic
def reassign(assignment: Assignment, user: AbstractBaseUser, actor: AbstractBaseUser | None = None) -> Assignment:
    """Take a claimed assignment from its holder and give its slot to this person. Raises HadBefore, NotHeld."""
    row = locked(assignment)
    if row.state != State.CLAIMED or row.is_extra:
        raise NotHeld(_("Only what somebody holds can be given to somebody else."))
    if not Assignment.objects.filter(pk=row.pk).new_to(user).exists():
        raise HadBefore(_("%(user)s has had this query before.") % {"user": user})
    row.state = State.SKIPPED
    row.save(update_fields=["state"])
    fresh = _fresh(row)
    fresh.save()
    audit_log.note(
        "reassigned", project=row.project, actor=actor, query=row.query_id, assignment=row, data={"to": user.pk}
    )
    return _take(fresh, row.project, user, Selection.CHOSEN, [because("given")])


@transaction.atomic
def release(assignment: Assignment, actor: AbstractBaseUser | None = None) -> Assignment:
    """End a lease before its time: as if it had run out. Raises NotHeld for what nobody holds."""
    row = locked(assignment)
    if row.state != State.CLAIMED:
        raise NotHeld(_("Nobody holds this."))
    lapse([row])
    audit_log.note("lease_released", project=row.project, actor=actor, query=row.query_id, assignment=row)
    row.refresh_from_db(fields=["state"])
    return row


def locked(assignment: Assignment) -> Assignment:
    """The assignment as it is now, locked until the transaction ends, with its caller's project.

    Found by its id, and by the curator and the project that the caller's copy names: one that was never read is
    enough (see `named`). Raises NotYours where there is none such.
    """
    row = _locked.first(assignment.pk)
    if row is None or (row.curator_id, row.project_id) != (assignment.curator_id, assignment.project_id):
        raise NotYours(_("This is not yours to judge."))
    row.project = assignment.project
    return row


def named(project: Project, user: AbstractBaseUser, assignment_id: int) -> Assignment:
    """An assignment by its id alone, for an act that locks and reads it, which finds out whether it is the person's."""
    return Assignment(pk=assignment_id, project=project, curator_id=user.pk)


def take_free_slot(row: Assignment) -> bool:
    """Free a place for the row, which its caller has locked and will then save: its own slot, else another open one.

    False when every slot of the query is held, or being taken at this moment: waiting for it, people who come back
    to one query would wait for each other in a ring.
    """
    own_first = Case(When(slot=row.slot, then=0), default=1, output_field=models.IntegerField())
    slots = Assignment.objects.open().filter(query=row.query_id, is_re_annotation=row.is_re_annotation)
    if row.is_re_annotation:
        slots = slots.filter(ranking=row.ranking_id)
    slots = slots.order_by(own_first, "slot")
    free = slots.select_for_update(skip_locked=True, of=("self",)).first()
    if free is None:
        return False
    row.slot, row.is_extra = free.slot, False
    free.delete()
    return True


def resume(row: Assignment) -> bool:
    """Whether a lapsed row, locked by its caller, could be taken up again; saved when it could."""
    if not take_free_slot(row):
        return False
    row.state = State.CLAIMED
    row.lease_until = timezone.now() + timedelta(seconds=row.project.lease_seconds)
    row.save(update_fields=["slot", "is_extra", "state", "lease_until"])
    audit_log.note("resumed", project=row.project, actor=row.curator_id, query=row.query_id, assignment=row)
    return True


def _claim_next(project: Project, user: AbstractBaseUser, beside: int | None) -> Assignment | None:
    membership = _membership(project, user)
    held = _held(project.pk, user.pk)
    for row in held:
        if row.pk != beside:
            return _prolong(row, project)
    _check_may_claim(project, user, membership, len(held))
    if project.gold_rate and random.random() < project.gold_rate:
        gold = _claim_gold(project, user)
        if gold is not None:
            return gold
    return _claim_open(project, user, membership)


def _claim_open(project: Project, user: AbstractBaseUser, membership: Membership | None) -> Assignment | None:
    """By value only while the person's random claims stay at the project's share of all, this one included."""
    found, selection = None, Selection.RANDOM
    if membership and membership.random_claims >= project.random_share * (membership.claims + 1):
        found, selection = _most_valuable.first(project.pk, user.pk), Selection.PRIORITY
    if found is None:
        found, selection = _at_random(project, user), Selection.RANDOM
    if found is None:
        return None
    if membership and membership.pk:
        membership.claims += 1
        membership.random_claims += selection == Selection.RANDOM
        update(membership, "claims", "random_claims")  # its row is locked
    if selection == Selection.RANDOM and not found.is_re_annotation:  # what was edited is said however it was selected
        found.reasons, found.reason_text = [because("random")], ""
    return _take(found, project, user, selection, found.reasons)


def _at_random(project: Project, user: AbstractBaseUser) -> Assignment | None:
    """The first in the random order that the person has not had; from a random point on when they had the head.

    Starting at the head finishes the slots of one query soon after each other; the order itself is random.
    """
    start = random.random()
    return (
        _first_at_random.first(project.pk, user.pk)
        or _at_random_from.first(project.pk, user.pk, start)
        or _at_random_below.first(project.pk, user.pk, start)
    )


def _open(project: Any) -> AssignmentQuerySet:
    return Assignment.objects.open().filter(project=project)


def _head(rows: AssignmentQuerySet, order: str) -> AssignmentQuerySet:
    """The first WINDOW of the rows, so that a statement looks at no more."""
    return Assignment.objects.filter(pk__in=rows.order_by(order, "pk")[:WINDOW].values("pk"), state=State.OPEN)


def _first(rows: AssignmentQuerySet, user: Any, order: str) -> AssignmentQuerySet:
    """The first of the rows that is new to the person and that nobody else is taking."""
    return rows.new_to(user).order_by(order, "pk").select_for_update(skip_locked=True, of=("self",))[:1]


def _claim_gold(project: Project, user: AbstractBaseUser) -> Assignment | None:
    """A gold question the person has not had. It takes no slot: the query's own judges are found elsewhere."""
    golds = Query.objects.filter(project=project, gold__isnull=False).exclude(assignments__curator_id=user.pk)
    query = golds.order_by("?").first()
    if query is None:
        return None
    row = Assignment(project=project, query=query, slot=0, is_extra=True, state=State.OPEN)
    return _take(row, project, user, Selection.GOLD, [because("random")])


def _take(
    row: Assignment, project: Project, user: AbstractBaseUser, selection: str, reasons: Sequence[Reason]
) -> Assignment:
    """Put an open row, locked by its caller, into the person's hands."""
    now = timezone.now()
    ranking_id, passage_ids = (row.ranking_id, list(row.order)) if row.is_re_annotation else _shown(row)
    row.state = State.CLAIMED
    row.curator_id = user.pk
    row.ranking_id = ranking_id
    row.selection, row.reasons = selection, list(reasons)
    row.claimed_at = now
    row.lease_until = now + timedelta(seconds=project.lease_seconds)
    row.guidelines_id = _newest_guidelines.first(project.pk)
    row.order = passage_ids
    # One order per person and query, the same after a lapse and a resume: a seed, and no state.
    random.Random(f"{row.query_id}:{user.pk}").shuffle(row.order)
    if row.pk is None:
        row.save()
    else:
        update(row, *_TAKEN)
    audit_log.note(
        "claimed", project=project, actor=user, query=row.query_id, assignment=row, data={"drawn": selection}
    )
    return row


def _shown(row: Assignment) -> tuple[int | None, list[int]]:
    """The ranking to judge, the row's own or else the query's newest, and its passages by rank."""
    ranking_id = row.ranking_id
    if ranking_id is None:
        ranking_id = _newest_ranking.first(row.query_id)
    if ranking_id is None:
        return None, []
    return ranking_id, _ranked(ranking_id)


def _prolong(row: Assignment, project: Project) -> Assignment:
    """The lease runs anew; what a reviewer returned has none and keeps none."""
    if row.lease_until is not None:
        row.lease_until = timezone.now() + timedelta(seconds=project.lease_seconds)
        update(row, "lease_until")
    return row


def _membership(project: Project, user: AbstractBaseUser) -> Membership | None:
    """The person's membership, locked: two tabs of one person claim one after the other."""
    return _member.first(project.pk, user.pk) or membership_of(user, project)


def _check_may_claim(project: Project, user: AbstractBaseUser, membership: Membership | None, held: int) -> None:
    if membership is None:
        raise NotNow(_("You are not a member of this project."))
    if membership.is_paused:
        raise Paused(_("Your work in this project is paused."))
    if not membership.daily_quota:
        return
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    done = Assignment.objects.submitted().filter(project=project, curator_id=user.pk, submitted_at__gte=today)
    done = done.exclude(selection=Selection.CONFIRMED)
    if done.count() + held >= membership.daily_quota:
        raise QuotaReached(_("You have done your %(n)d of today.") % {"n": membership.daily_quota})


@transaction.atomic
def _give_up(assignment: Assignment, reason: str, verb: str, actor: AbstractBaseUser | None = None) -> Assignment:
    row = locked(assignment)
    if row.state in (State.SKIPPED, State.EXPIRED):
        return row
    if row.state != State.CLAIMED:
        raise NotHeld(_("This has been submitted; take it back first."))
    data = {"reason": reason, "was": row.comment}
    row.state, row.comment = State.SKIPPED, reason or row.comment
    row.save(update_fields=["state", "comment"])
    if not row.is_extra:
        _fresh(row).save()
    by = actor.pk if actor else row.curator_id
    audit_log.note(verb, project=row.project, actor=by, query=row.query_id, assignment=row, data=data)
    return row


def _fresh(row: Assignment) -> Assignment:
    """An open row for the slot that this one leaves, at the same place of the queue."""
    return Assignment(
        project_id=row.project_id,
        query_id=row.query_id,
        slot=row.slot,
        ranking_id=row.ranking_id,
        is_re_annotation=row.is_re_annotation,
        order=row.order if row.is_re_annotation else [],
        priority=row.priority,
        random_key=row.random_key,
        reasons=row.reasons if row.selection == Selection.PRIORITY or row.is_re_annotation else [],
        reason_text=row.reason_text if row.selection == Selection.PRIORITY else "",
    )
