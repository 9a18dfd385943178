"""What the judge page shows of one assignment: read with a fixed number of queries, blind to everyone else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from config.compiled import Compiled
from curation.annotation.forms import CANNOT_TELL
from curation.annotation.script_messages import MODULES, WORDS
from curation.engine.text.excerpts import Excerpt, excerpt
from curation.models import Answer, Assignment, Draft, Judgement, Preferences, Project, ShownPassage
from curation.projects.keyboard_shortcuts import bindings, keys_of
from curation.review import visibility
from retrieval.models import Passage

DEFAULT_LABELS = [
    *(gettext_noop("Not relevant"), gettext_noop("Related"), gettext_noop("Relevant"), gettext_noop("Answers it")),
    *(gettext_noop("Says nothing that helps."), gettext_noop("On the subject, but does not answer.")),
    *(gettext_noop("Answers a part."), gettext_noop("Answers the question.")),
]

_shown = Compiled(lambda ranking: ShownPassage.objects.filter(ranking=ranking).select_related("passage__document"))
_judged = Compiled(lambda assignment: Judgement.objects.standing().filter(assignment=assignment))
_draft = Compiled(lambda ranking: Draft.objects.filter(ranking=ranking).values_list("text", flat=True))
_answer = Compiled(lambda assignment: Answer.objects.filter(assignment=assignment))
_preferences = Compiled(lambda user: Preferences.objects.filter(user_id=user))


@dataclass(frozen=True)
class Choice:
    """One grade a passage can get."""

    value: str
    label: str
    description: str


@dataclass(frozen=True)
class Evidence:
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Revealed:
    """What was hidden until one's own grades were in."""

    others: list[str]
    rank: int | None
    is_disputed: bool


@dataclass(frozen=True)
class Card:
    """One passage as this person sees it."""

    position: int
    passage: Passage
    excerpt: Excerpt
    chosen: str
    evidence: list[Evidence]
    is_added: bool
    revealed: Revealed | None = None


@dataclass(frozen=True)
class Work:
    """One assignment, ready to be shown."""

    assignment: Assignment
    cards: list[Card]
    choices: list[Choice]
    grades_url: str
    draft: str
    text: str
    citations: list[dict[str, object]]
    unsupported: list[list[int]]
    is_open: bool
    graded: int


def choices_of(project: Project) -> list[Choice]:
    """The grades of the project, lowest first, then can't tell."""
    own = [Choice(str(g["grade"]), _(str(g["label"])), _(str(g.get("description") or ""))) for g in project.grades]
    return [*own, Choice(CANNOT_TELL, _("Can't tell"), _("The passage cannot be judged."))]


def chosen(judgement: Judgement | None) -> str:
    """A judgement as a button's value; nothing for an unjudged passage."""
    if judgement is None:
        return ""
    return CANNOT_TELL if judgement.grade is None else str(judgement.grade)


def work_of(assignment: Assignment, *, seen: visibility.Revealed | None = None, text: str | None = None) -> Work:
    """Everything the page shows.

    seen: what of the query's judgements the person may see; shown after their own submit only.
    text: an answer that was sent but could not be saved.
    """
    states = Assignment.State
    is_submitted = assignment.state == states.SUBMITTED
    cards = _cards(assignment, seen if is_submitted and seen and seen.has_others else None)
    draft = (_draft.first(assignment.ranking_id) if assignment.ranking_id else None) or ""
    answer = _answer.first(assignment.pk)
    written = answer.text if answer else draft
    return Work(
        assignment=assignment,
        cards=cards,
        choices=choices_of(assignment.project),
        grades_url=reverse("curation:grades", args=[assignment.project.slug, assignment.pk]),
        draft=draft,
        text=written if text is None else text,
        citations=answer.citations if answer else [],
        unsupported=answer.unsupported if answer else [],
        is_open=assignment.state in (states.CLAIMED, states.EXPIRED),
        graded=sum(1 for card in cards if card.chosen),
    )


def card_of(assignment: Assignment, passage_id: int) -> Card:
    """One passage of the page: the one that was just added."""
    return next(card for card in _cards(assignment, None) if card.passage.pk == passage_id)


def page_of(request: HttpRequest, project: Project, work: Work) -> dict[str, object]:
    """The context of the whole page: the work, the person's keys, and the words its scripts speak."""
    own = _preferences.first(request.user.pk)
    keys = keys_of(own.keys if own else None)
    bound = bindings(keys)
    return {
        "project": project,
        "work": work,
        "keys": keys,
        "bindings": bound,
        "kbd": {binding.action: binding.shown for binding in bound},
        "mark_words": own.mark_words if own else True,
        "modules": MODULES,
        "words": _words,  # called by the page's template alone, not by the question's
    }


def _words() -> dict[str, str]:
    return {name: str(text) for name, text in WORDS.items()}


def _cards(assignment: Assignment, seen: visibility.Revealed | None) -> list[Card]:
    shown = {row.passage_id: row for row in _shown(assignment.ranking_id)} if assignment.ranking_id else {}
    mine = {j.passage_id: j for j in _judged(assignment.pk)}
    added = [pk for pk, row in shown.items() if pk not in assignment.order and row.added_by_id == assignment.curator_id]
    others = _others(assignment, seen) if seen else {}
    places = [pk for pk in [*assignment.order, *added] if pk in shown]
    return [
        _card(assignment, position, shown[pk], mine.get(pk), others.get(pk, []) if seen else None)
        for position, pk in enumerate(places, start=1)
    ]


def _card(
    assignment: Assignment,
    position: int,
    row: ShownPassage,
    judgement: Judgement | None,
    others: list[Judgement] | None,
) -> Card:
    text = row.passage.text
    return Card(
        position=position,
        passage=row.passage,
        excerpt=excerpt(text, assignment.query.text),
        chosen=chosen(judgement),
        evidence=[Evidence(start, end, text[start:end]) for start, end in (judgement.evidence if judgement else [])],
        is_added=row.added_by_id == assignment.curator_id,
        revealed=None if others is None else _revealed(row, judgement, others, assignment.project),
    )


def _others(assignment: Assignment, seen: visibility.Revealed) -> dict[int, list[Judgement]]:
    """Passage → judgements of everyone else that may be seen, oldest first."""
    found = defaultdict(list)
    for judgement in seen.judgements.exclude(curator_id=assignment.curator_id).order_by("pk"):
        found[judgement.passage_id].append(judgement)
    return found


def _revealed(row: ShownPassage, mine: Judgement | None, others: list[Judgement], project: Project) -> Revealed:
    grades = [j.grade for j in others if j.grade is not None]
    own = mine.grade if mine else None
    is_disputed = own is not None and any(abs(grade - own) >= project.review_gap for grade in grades)
    return Revealed([chosen(j) for j in others], None if row.score is None else row.rank, is_disputed)
