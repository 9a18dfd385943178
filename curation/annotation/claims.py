"""Claims: who gets which assignment, and how a person gives one up.

A claim locks the row it takes and skips rows that others are taking (on SQLite writers wait for each other), so that
two people never hold one slot. No statement reads more than a window of the queue, whatever its length.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from curation.annotation import hot_reads, leases
from curation.annotation.assignments import (
    AlreadyAssigned,
    NotClaimed,
    build_gold,
    build_replacement,
    lock,
    take_free_slot,
)
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.core.labels import Reason, make_reason
from curation.core.permissions import find_membership
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

WINDOW = 100  # rows at the head of the queue that are searched for one the person has not had
_MAX_ATTEMPTS = 5
_CLAIM_FIELDS = (
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
_GIVE_UP_VERBS = ["skipped", "handed_back", "reassigned"]  # events after which the holder has the assignment no more

State, Selection = Assignment.State, Assignment.Selection


class ClaimRefused(CurationError):
    """The person may not claim anything at the moment."""


class Paused(ClaimRefused):
    """The person's work in the project is paused."""


class QuotaReached(ClaimRefused):
    """The person's daily limit is reached."""


class NoOpenSlot(CurationError):
    """Every slot of the query is taken."""


class SlotTaken(CurationError):
    """Another person has the slot of the skipped assignment by now."""


def claim_next(project: Project, user: AbstractBaseUser, *, beside: int | None = None) -> Assignment | None:
    """Return what the person judges next: an assignment they hold, else a new claim; None where nothing is left.

    beside: the assignment on their screen, so that the one after it can be fetched ahead. Repeated calls return the
    same assignment, so a retry after a lost connection claims nothing more. Raises Paused, QuotaReached, ClaimRefused.
    """
    for _attempt in range(_MAX_ATTEMPTS):
        try:
            with transaction.atomic():
                return _claim_next(project, user, beside)
        except IntegrityError:  # the same person claimed the same query in another request
            continue
    return None


def claim(query: Query, user: AbstractBaseUser) -> Assignment:
    """Claim a slot of this query for the person, or return the one they hold.

    Raises NoOpenSlot, AlreadyAssigned, ClaimRefused.
    """
    with transaction.atomic():
        membership = _lock_membership(query.project, user)
        earlier = Assignment.objects.filter(query=query, curator_id=user.pk, is_re_annotation=False).first()
        if earlier is not None and earlier.state == State.CLAIMED:
            return leases.extend(earlier, query.project)
        if earlier is not None:
            raise AlreadyAssigned(_("You have had this query before."))
        _check_may_claim(query.project, user, membership, claimed=0)
        slots = Assignment.objects.open().filter(query=query, is_re_annotation=False).order_by("slot")
        row = slots.select_for_update(skip_locked=True, of=("self",)).first()
        if row is None:
            raise NoOpenSlot(_("Every place of this query is taken."))
        return _assign(row, query.project, user, Selection.CHOSEN, [make_reason("chosen")])


@transaction.atomic
def skip(assignment: Assignment, reason: str = "", *, actor: AbstractBaseUser | None = None) -> Assignment:
    """Give the assignment up; its slot becomes open and its grades are kept. Skipping twice changes nothing.

    actor: who did it, where a manager took it from its holder. Raises NotClaimed after a submit.
    """
    row = lock(assignment)
    if row.state in (State.SKIPPED, State.EXPIRED):
        return row
    if row.state != State.CLAIMED:
        raise NotClaimed(_("This has been submitted. Undo the submit first."))
    data = {"reason": reason, "was": row.comment}
    row.state, row.comment = State.SKIPPED, reason or row.comment
    row.save(update_fields=["state", "comment"])
    if not row.is_extra:
        build_replacement(row).save()
    verb, by = ("handed_back", actor.pk) if actor else ("skipped", row.curator_id)
    audit_log.record(verb, project=row.project, actor=by, query=row.query_id, assignment=row, data=data)
    return row


def undo_skip(row: Assignment, key: str = "") -> Assignment:
    """Give a skipped assignment back to its person, with its comment from before. The caller has locked the row.

    Raises SlotTaken where every slot of the query is taken by now, NotClaimed where another person took it away.
    """
    last = Event.objects.filter(assignment=row, verb__in=_GIVE_UP_VERBS).order_by("-pk").first()
    if last is None or last.verb == "reassigned" or last.actor_id != row.curator_id:
        raise NotClaimed(_("You did not skip this: a manager took it back."))
    if not row.is_extra and not take_free_slot(row):
        raise SlotTaken(_("Somebody else has this query by now. Your grades are kept."))
    row.state, row.comment = State.CLAIMED, last.data.get("was", "")
    row.lease_until = timezone.now() + timedelta(seconds=row.project.lease_seconds)
    row.save(update_fields=["slot", "is_extra", "state", "lease_until", "comment"])
    audit_log.record("took_up", project=row.project, actor=row.curator_id, query=row.query_id, assignment=row, key=key)
    return row


@transaction.atomic
def reassign(assignment: Assignment, user: AbstractBaseUser, actor: AbstractBaseUser | None = None) -> Assignment:
    """Move a claimed assignment to another person. Raises AlreadyAssigned, NotClaimed."""
    row = lock(assignment)
    if row.state != State.CLAIMED or row.is_extra:
        raise NotClaimed(_("Only claimed assignments can be reassigned."))
    if not Assignment.objects.filter(pk=row.pk).new_to(user).exists():
        raise AlreadyAssigned(_("%(user)s has had this query before.") % {"user": user})
    row.state = State.SKIPPED
    row.save(update_fields=["state"])
    replacement = build_replacement(row)
    replacement.save()
    audit_log.record(
        "reassigned", project=row.project, actor=actor, query=row.query_id, assignment=row, data={"to": user.pk}
    )
    return _assign(replacement, row.project, user, Selection.CHOSEN, [make_reason("given")])


def _claim_next(project: Project, user: AbstractBaseUser, beside: int | None) -> Assignment | None:
    membership = _lock_membership(project, user)
    claimed = hot_reads.claimed_assignments.all(user.pk, project.pk, State.CLAIMED)
    for row in claimed:
        if row.pk != beside:
            return leases.extend(row, project)
    _check_may_claim(project, user, membership, len(claimed))
    if project.gold_rate and random.random() < project.gold_rate:
        gold = _claim_gold(project, user)
        if gold is not None:
            return gold
    return _claim_open(project, user, membership)


def _claim_open(project: Project, user: AbstractBaseUser, membership: Membership | None) -> Assignment | None:
    """Claim by priority while the person's share of random claims, this one included, stays the project's; else at
    random.
    """
    row, selection = None, Selection.RANDOM
    if membership and membership.random_claims >= project.random_share * (membership.claims + 1):
        row, selection = _first_by_priority(project, user), Selection.PRIORITY
    if row is None:
        row, selection = _first_at_random(project, user), Selection.RANDOM
    if row is None:
        return None
    if membership and membership.pk:
        membership.claims += 1
        membership.random_claims += selection == Selection.RANDOM
        membership.save(update_fields=["claims", "random_claims"])  # its row is locked
    if selection == Selection.RANDOM and not row.is_re_annotation:  # a re-annotation always says what was edited
        row.reasons, row.reason_text = [make_reason("random")], ""
    return _assign(row, project, user, selection, row.reasons)


def _first_by_priority(project: Project, user: AbstractBaseUser) -> Assignment | None:
    return _first_new(_head(_open(project).filter(priority__gt=0), "-priority"), user, "-priority")


def _first_at_random(project: Project, user: AbstractBaseUser) -> Assignment | None:
    """Return the first assignment of the random order that is new to the person.

    The search begins at the head of the order, so that the slots of one query are claimed soon after each other; the
    order itself is random. Where the person has had the head, it begins at a random key.
    """
    start = random.random()
    rows = _open(project)
    return (
        _first_new(_head(rows, "random_key"), user, "random_key")
        or _first_new(rows.filter(random_key__gte=start), user, "random_key")
        or _first_new(rows.filter(random_key__lt=start), user, "random_key")
    )


def _open(project: Project) -> AssignmentQuerySet:
    return Assignment.objects.open().filter(project=project)


def _head(rows: AssignmentQuerySet, order: str) -> AssignmentQuerySet:
    """Return the first WINDOW rows, so that a statement reads no more."""
    return Assignment.objects.filter(pk__in=rows.order_by(order, "pk")[:WINDOW].values("pk"), state=State.OPEN)


def _first_new(rows: AssignmentQuerySet, user: AbstractBaseUser, order: str) -> Assignment | None:
    """Return the first row that is new to the person and that nobody else is claiming, locked."""
    return rows.new_to(user).order_by(order, "pk").select_for_update(skip_locked=True, of=("self",)).first()


def _claim_gold(project: Project, user: AbstractBaseUser) -> Assignment | None:
    """Claim a gold question that the person has not had."""
    golds = Query.objects.filter(project=project, gold__isnull=False).exclude(assignments__curator_id=user.pk)
    query = golds.order_by("?").first()
    if query is None:
        return None
    return _assign(build_gold(project, query), project, user, Selection.GOLD, [make_reason("random")])


def _assign(
    row: Assignment, project: Project, user: AbstractBaseUser, selection: str, reasons: Sequence[Reason]
) -> Assignment:
    """Claim an open row, which the caller has locked, for the person."""
    now = timezone.now()
    ranking_id, passage_ids = (row.ranking_id, list(row.order)) if row.is_re_annotation else _shown_passages(row)
    row.state = State.CLAIMED
    row.curator_id = user.pk
    row.ranking_id = ranking_id
    row.selection, row.reasons = selection, list(reasons)
    row.claimed_at = now
    row.lease_until = now + timedelta(seconds=project.lease_seconds)
    row.guidelines_id = _newest_guidelines(project)
    row.order = passage_ids
    # A seed instead of a stored order: the same person sees the same order again after a lease has expired.
    random.Random(f"{row.query_id}:{user.pk}").shuffle(row.order)
    row.save(update_fields=None if row.pk is None else _CLAIM_FIELDS)
    audit_log.record(
        "claimed", project=project, actor=user, query=row.query_id, assignment=row, data={"drawn": selection}
    )
    return row


def _newest_guidelines(project: Project) -> int | None:
    return Guidelines.objects.filter(project=project).order_by("-version").values_list("pk", flat=True).first()


def _shown_passages(row: Assignment) -> tuple[int | None, list[int]]:
    """Return the ranking to judge, the row's own or the query's newest, and its passages by rank."""
    ranking_id = row.ranking_id
    if ranking_id is None:
        ranking_id = Ranking.objects.filter(query=row.query_id).order_by("-pk").values_list("pk", flat=True).first()
    if ranking_id is None:
        return None, []
    shown = ShownPassage.objects.filter(ranking=ranking_id).order_by("rank")
    return ranking_id, list(shown.values_list("passage_id", flat=True))


def _lock_membership(project: Project, user: AbstractBaseUser) -> Membership | None:
    """Return the person's membership, locked: claims in two tabs of one person happen one after the other."""
    return hot_reads.locked_membership.first(project.pk, user.pk) or find_membership(user, project)


def _check_may_claim(project: Project, user: AbstractBaseUser, membership: Membership | None, claimed: int) -> None:
    if membership is None:
        raise ClaimRefused(_("You are not a member of this project."))
    if membership.is_paused:
        raise Paused(_("Your work in this project is paused."))
    if not membership.daily_quota:
        return
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    submitted = Assignment.objects.submitted().filter(project=project, curator_id=user.pk, submitted_at__gte=today)
    submitted = submitted.exclude(selection=Selection.CONFIRMED)
    if submitted.count() + claimed >= membership.daily_quota:
        raise QuotaReached(_("You have reached your daily limit of %(n)d.") % {"n": membership.daily_quota})
