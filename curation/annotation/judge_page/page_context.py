"""The context of the judge page: one assignment, read with a fixed number of queries, without others' grades."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.urls import reverse

from curation.annotation import hot_reads
from curation.annotation.judge_page.script_messages import MESSAGES, MODULES
from curation.annotation.keyboard_shortcuts import list_bindings, merge_keys
from curation.core.grades import GradeChoice, choice_value, grade_choices
from curation.core.http import MemberRequest
from curation.core.visibility import VisibleJudgements
from curation.engine.text.excerpts import Excerpt, excerpt
from curation.models import Assignment, Judgement, Preferences, Project, ShownPassage
from retrieval.models import Passage


@dataclass(frozen=True)
class Evidence:
    """A span [start, end) of a passage with its text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Comparison:
    """What becomes visible after one's own submit: others' grades and the rank of the search (None: added later)."""

    others: list[str]
    rank: int | None
    is_disputed: bool


@dataclass(frozen=True)
class Card:
    """One passage as this person sees it. chosen: the value of the chosen grade, empty for none."""

    position: int
    passage: Passage
    excerpt: Excerpt
    chosen: str
    evidence: list[Evidence]
    is_added: bool
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Work:
    """One assignment with everything that its page shows. graded: number of passages with a grade."""

    assignment: Assignment
    cards: list[Card]
    choices: list[GradeChoice]
    grades_url: str
    draft: str
    text: str
    citations: list[dict[str, object]]
    unsupported: list[list[int]]
    is_open: bool
    graded: int


def build_work(
    assignment: Assignment, *, visible: VisibleJudgements | None = None, unsaved_text: str | None = None
) -> Work:
    """Read everything the page shows of the assignment.

    visible: the judgements of the query that the person may see; shown after their own submit only. unsaved_text: an
    answer that was sent but could not be saved.
    """
    states = Assignment.State
    is_submitted = assignment.state == states.SUBMITTED
    cards = _cards(assignment, visible if is_submitted and visible and visible.has_others else None)
    draft = hot_reads.draft_of_ranking.first(assignment.ranking_id) if assignment.ranking_id else None
    draft_text = draft.text if draft else ""
    answer = hot_reads.answer_of_assignment.first(assignment.pk)
    saved_text = answer.text if answer else draft_text
    return Work(
        assignment=assignment,
        cards=cards,
        choices=grade_choices(assignment.project),
        grades_url=reverse("curation:grades", args=[assignment.project.slug, assignment.pk]),
        draft=draft_text,
        text=saved_text if unsaved_text is None else unsaved_text,
        citations=answer.citations if answer else [],
        unsupported=answer.unsupported if answer else [],
        is_open=assignment.state in (states.CLAIMED, states.EXPIRED),
        graded=sum(1 for card in cards if card.chosen),
    )


def build_card(assignment: Assignment, passage_id: int) -> Card:
    """Return the card of a passage that was just added."""
    return next(card for card in _cards(assignment, None) if card.passage.pk == passage_id)


def page_context(request: MemberRequest, project: Project, work: Work) -> dict[str, object]:
    """Return the context of the whole page: the work, the person's keys, and the messages of its scripts."""
    preferences = Preferences.objects.filter(user=request.user).first()
    keys = merge_keys(preferences.keys if preferences else None)
    bindings = list_bindings(keys)
    return {
        "project": project,
        "work": work,
        "keys": keys,
        "bindings": bindings,
        "kbd": {binding.action: binding.shown for binding in bindings},
        "mark_words": preferences.mark_words if preferences else True,
        "modules": MODULES,
        "script_messages": _messages,  # a callable: translated only where the template uses it
    }


def _messages() -> dict[str, str]:
    return {name: str(text) for name, text in MESSAGES.items()}


def _cards(assignment: Assignment, visible: VisibleJudgements | None) -> list[Card]:
    shown: dict[int, ShownPassage] = {}
    if assignment.ranking_id:
        rows = ShownPassage.objects.filter(ranking=assignment.ranking_id).select_related("passage__document")
        shown = {row.passage_id: row for row in rows}
    own = {judgement.passage_id: judgement for judgement in hot_reads.standing_judgements.all(assignment.pk)}
    added = [pk for pk, row in shown.items() if pk not in assignment.order and row.added_by_id == assignment.curator_id]
    others = _others_judgements(assignment, visible) if visible else {}
    passage_ids = [pk for pk in [*assignment.order, *added] if pk in shown]
    return [
        _card(assignment, position, shown[pk], own.get(pk), others.get(pk, []) if visible else None)
        for position, pk in enumerate(passage_ids, start=1)
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
        chosen=choice_value(judgement),
        evidence=[Evidence(start, end, text[start:end]) for start, end in (judgement.evidence if judgement else [])],
        is_added=row.added_by_id == assignment.curator_id,
        comparison=None if others is None else _comparison(row, judgement, others, assignment.project),
    )


def _others_judgements(assignment: Assignment, visible: VisibleJudgements) -> dict[int, list[Judgement]]:
    """Return passage id → the visible judgements of others, oldest first."""
    by_passage = defaultdict(list)
    for judgement in visible.judgements.exclude(curator_id=assignment.curator_id).order_by("pk"):
        by_passage[judgement.passage_id].append(judgement)
    return by_passage


def _comparison(row: ShownPassage, own: Judgement | None, others: list[Judgement], project: Project) -> Comparison:
    grades = [j.grade for j in others if j.grade is not None]
    own_grade = own.grade if own else None
    is_disputed = own_grade is not None and any(abs(grade - own_grade) >= project.review_gap for grade in grades)
    return Comparison([choice_value(j) for j in others], None if row.score is None else row.rank, is_disputed)
