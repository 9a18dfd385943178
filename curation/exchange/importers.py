"""Other people's collections in: queries, judgements, answers. Whole or not at all, and twice is once.

Everything is read and checked before the first row is written, and written in bulk. Judgements name passages by
their external id; a document that was cut into several passages has no passage of its own id, so a judgement of it
says too little and is skipped and counted. A collection that only knows 0 and 1 means by 1 that the passage
answers: it becomes 3 here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from common.text_files import BadInput, read_jsonl, text_of
from curation.core import audit_log
from curation.exchange import file_formats, lookups
from curation.exchange.file_formats import Asked, Pair
from curation.models import Answer, Assignment, Draft, Judgement, Project, Query, Review, SettledGrade
from curation.queries import intake
from curation.review import consensus, staleness
from retrieval.documents import ingest
from retrieval.models import Corpus
from retrieval.search.results import Hit

Progress = Callable[[int, int, str], None]

ANSWERS_IT = 3
DEFAULT_CURATOR = "importer"
COUNTED = ("documents", "passages", "queries", "judgements", "answers", "skipped")


@dataclass(frozen=True)
class Imported:
    """What one import added. skipped: what was there already, or says too little. notes: what to tell the person."""

    documents: int = 0
    passages: int = 0
    queries: int = 0
    judgements: int = 0
    answers: int = 0
    skipped: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: Imported) -> Imported:
        return Imported(**{name: getattr(self, name) + getattr(other, name) for name in (*COUNTED, "notes")})


@transaction.atomic
def import_beir(
    folder: Path,
    slug: str,
    *,
    corpus_only: bool = False,
    queries_split: str | None = None,
    judge_split: str | None = None,
    curator: str = DEFAULT_CURATOR,
    on_progress: Progress | None = None,
) -> Imported:
    """A BEIR folder as documents, queries, settled judgements and settled answers; the project is made if need be.

    queries_split: only the queries that qrels/<split>.tsv names; without it all. judge_split: the judgements of
    qrels/<split>.tsv, settled as the curator's, with the first answer of answers.jsonl to each judged query.
    Raises BadInput.
    """
    project = project_named(slug)
    without_text: set[str] = set()
    done = _corpus(project, folder / "corpus.jsonl", without_text, on_progress)
    if corpus_only:
        return done
    judged = list(file_formats.qrels(folder, judge_split, curator)) if judge_split else []
    wanted = None
    if queries_split:
        wanted = {pair.query_id for pair in file_formats.qrels(folder, queries_split, curator)}
        wanted |= {pair.query_id for pair in judged}
    path = folder / "queries.jsonl"
    asked = [row for row in file_formats.queries(path) if wanted is None or row.external_id in wanted]
    done += _queries(project, path, asked)
    if judged:
        answers = file_formats.answers(folder / "answers.jsonl")
        done += import_qrels(project, judged, curator, answers, without_text=without_text)
    return done


def import_queries(project: Project, path: Path) -> Imported:
    """Queries of a JSONL file; those that come with passages wait in the queue at once, their answer as the draft.

    Rows: {"_id" or "query_id", "text", "passages": [ids]?, "answer"?, "metadata"?}. Raises BadInput.
    """
    with transaction.atomic():
        return _queries(project, path, list(file_formats.queries(path)))


@transaction.atomic
def import_qrels(
    project: Project,
    pairs: Sequence[Pair],
    curator: str,
    answers: Mapping[str, str] | None = None,
    *,
    without_text: Collection[str] = (),
) -> Imported:
    """Settled judgements of one curator, and settled answers to the judged queries.

    without_text: documents that were left out of the corpus for having none; judgements of them are skipped.

    What people here have begun is left alone: pairs of such queries, and of settled ones, are skipped.
    """
    pairs, notes = _rescaled(pairs)
    queries = lookups.queries_of(project, pairs)
    passages, cut = lookups.passages_of(project, pairs, without_text)
    usable = [pair for pair in pairs if pair.corpus_id in passages]
    busy = lookups.begun(queries.values())
    by_query: dict[str, dict[str, Pair]] = {}
    for pair in usable:
        _add_once(by_query.setdefault(pair.query_id, {}), pair.corpus_id, pair)
    fresh = {name: given for name, given in by_query.items() if queries[name].pk not in busy}
    person = lookups.person_named(project, curator)
    wanted = {name: (answers or {}).get(name, "") for name in fresh}
    work = [_Settled(queries[name], list(given.values()), wanted[name]) for name, given in fresh.items()]
    _settle(project, person, work, passages)
    judgements = sum(len(one.pairs) for one in work)
    done = Imported(judgements=judgements, answers=sum(bool(one.answer) for one in work), notes=notes)
    done = replace(done, skipped=len(pairs) - judgements, notes=done.notes + _cut_note(cut))
    if work:
        _note(project, person, done)
    return done


@transaction.atomic
def import_judgements(project: Project, path: Path) -> Imported:
    """Judgements of several curators, each as if they had submitted here; overlap and consensus settle them.

    Rows: {"query_id", "corpus_id", "curator", "grade", "comment"?}; a null grade is can't tell. A query judged by
    more people than its overlap asks takes them all; one judged by fewer goes on waiting for the rest. Pairs of
    queries that are past judging, and of people who have had the query, are skipped. Raises BadInput.
    """
    pairs = list(file_formats.judgements(path))
    queries = lookups.queries_of(project, pairs)
    passages, cut = lookups.passages_of(project, pairs)
    turns: dict[tuple[str, str], dict[str, Pair]] = {}
    for pair in pairs:
        if pair.corpus_id in passages:
            _add_once(turns.setdefault((pair.query_id, pair.curator), {}), pair.corpus_id, pair)
    people = {name: lookups.person_named(project, name) for name in sorted({pair.curator for pair in pairs})}
    places = _Places(queries.values())
    taken = []
    for (query_id, curator), given in turns.items():
        query, person = queries[query_id], people[curator]
        if query.state == Query.State.OPEN and not places.has_had(query, person):
            taken.append((places.take(query, person), list(given.values())))
    done = replace(_write_turns(project, places, taken, passages), notes=_cut_note(cut))
    judged = list({assignment.query_id: assignment.query for assignment, _given in taken}.values())
    consensus.consider_many(project, judged)
    if done.judgements:
        _note(project, None, done)
    return replace(done, skipped=len(pairs) - done.judgements)


def project_named(slug: str) -> Project:
    """The project of that name, made with a corpus of the same name when there is none."""
    found = Project.objects.select_related("corpus").filter(slug=slug).first()
    if found is not None:
        return found
    corpus, _is_new = Corpus.objects.get_or_create(slug=slug, defaults={"name": slug})
    return Project.objects.create(slug=slug, name=slug, corpus=corpus)


@dataclass(frozen=True)
class _Settled:
    query: Query
    pairs: list[Pair]
    answer: str


class _Places:
    """The slots of some queries, taken one by one in memory and written at once."""

    def __init__(self, queries: Iterable[Query]) -> None:
        self.queries = {query.pk: query for query in queries}
        self.free: dict[int, dict[int, int]] = {pk: {} for pk in self.queries}  # query → slot → open row
        self.held: dict[int, set[int]] = {pk: set() for pk in self.queries}
        self.had: set[tuple[int, int]] = set()
        self.used: list[int] = []
        turns = Assignment.objects.filter(is_re_annotation=False)
        rows = turns.values_list("pk", "query_id", "slot", "state", "curator_id", "is_extra")
        for some in consensus.chunks(list(self.queries)):
            for pk, query_id, slot, state, curator_id, is_extra in rows.filter(query__in=some):
                if curator_id is not None:
                    self.had.add((query_id, curator_id))
                if state == Assignment.State.OPEN:
                    self.free[query_id][slot] = pk
                elif state in Assignment.HOLDING and not is_extra:
                    self.held[query_id].add(slot)

    def has_had(self, query: Query, person: User) -> bool:
        return (query.pk, person.pk) in self.had

    def take(self, query: Query, person: User) -> Assignment:
        held = self.held[query.pk]
        slot = next(number for number in range(1, len(held) + 2) if number not in held)
        held.add(slot)
        self.had.add((query.pk, person.pk))
        if slot in self.free[query.pk]:
            self.used.append(self.free[query.pk].pop(slot))
        return _submitted(query, person, slot)

    def write(self, project: Project, assignments: Sequence[Assignment]) -> None:
        for some in consensus.chunks(self.used):
            Assignment.objects.filter(pk__in=some).delete()
        Assignment.objects.bulk_create(assignments, batch_size=2000)
        more = [query for query in self.queries.values() if len(self.held[query.pk]) > _slots(query, project)]
        for query in more:
            query.overlap = len(self.held[query.pk])
        Query.objects.bulk_update(more, ["overlap"], batch_size=consensus.PIECE)


def _corpus(project: Project, path: Path, without_text: set[str], on_progress: Progress | None) -> Imported:
    def sources() -> Iterator[ingest.Source]:
        line = 0
        for line, row in read_jsonl(path, ("_id", "text")):
            name, title = text_of(path, line, row, "_id"), text_of(path, line, row, "title", default="")
            text = text_of(path, line, row, "text", default="")
            if not title and not text:
                without_text.add(name)
            yield ingest.Source(name, title, text, file_formats.metadata(path, line, row), path, line)
        if not line:
            raise BadInput(path, None, _("no document in it"))

    progress = (lambda done, total: on_progress(done, total, _("documents"))) if on_progress else None
    began = timezone.now()
    done = ingest.ingest(project.corpus, sources(), whole=True, on_progress=progress)
    notes = staleness.note(project.corpus, began).notes
    return Imported(documents=done.documents, passages=done.passages, skipped=done.skipped, notes=notes)


def _queries(project: Project, path: Path, asked: Sequence[Asked]) -> Imported:
    known = lookups.queries_named(project, [row.external_id for row in asked])
    for row in asked:
        there = known.get(row.external_id)
        if there is not None and there.text != row.text:
            raise BadInput(path, row.line, _("“%(id)s” is there with another text") % {"id": row.external_id})
    fresh = [row for row in asked if row.external_id not in known]
    shown = {name for row in fresh for name in row.passages}
    passages = lookups.passages_named(project, shown)
    for row in fresh:
        for name in row.passages:
            if name not in passages:
                raise BadInput(path, row.line, _("there is no passage “%(id)s”") % {"id": name})
    queries = Query.objects.bulk_create(
        (
            Query(
                project=project,
                external_id=row.external_id,
                text=row.text,
                source=Query.Source.IMPORT,
                metadata=row.metadata,
            )
            for row in fresh
        ),
        batch_size=2000,
    )
    _freeze_given(project, [pair for pair in zip(queries, fresh, strict=True) if pair[1].passages], passages)
    return Imported(queries=len(fresh), skipped=len(asked) - len(fresh))


def _freeze_given(
    project: Project, given: Sequence[tuple[Query, Asked]], passages: Mapping[str, tuple[int, str]]
) -> None:
    queries = [query for query, _row in given]
    hits = [[Hit(passages[name][0], rank, 1 / rank) for rank, name in enumerate(row.passages, 1)] for _q, row in given]
    rankings = intake.freeze_hits(queries, None, hits)
    drafts = zip(rankings, given, strict=True)
    Draft.objects.bulk_create(Draft(ranking=ranking, text=row.answer) for ranking, (_q, row) in drafts if row.answer)
    intake.open_slots_of(project, queries)


def _settle(
    project: Project,
    person: User,
    work: Sequence[_Settled],
    passages: Mapping[str, tuple[int, str]],
) -> None:
    now = timezone.now()
    ids = [one.query.pk for one in work]
    for some in consensus.chunks(ids):
        Assignment.objects.open().filter(query__in=some).delete()
    turns = Assignment.objects.bulk_create(
        (_submitted(one.query, person, 1, [passages[pair.corpus_id][0] for pair in one.pairs]) for one in work),
        batch_size=2000,
    )
    _judgements(zip(turns, (one.pairs for one in work), strict=True), passages)
    Answer.objects.bulk_create(
        (
            Answer(assignment=turn, query=one.query, curator_id=person.pk, text=one.answer)
            for turn, one in zip(turns, work, strict=True)
            if one.answer
        ),
        batch_size=2000,
    )
    state = Review.State.SETTLED
    reviews = Review.objects.bulk_create(
        (Review(query=one.query, state=state, answer=one.answer, decided_at=now) for one in work), batch_size=2000
    )
    SettledGrade.objects.bulk_create(
        (
            SettledGrade(review=review, passage_id=passages[pair.corpus_id][0], grade=pair.grade or 0, method="sole")
            for review, one in zip(reviews, work, strict=True)
            for pair in one.pairs
        ),
        batch_size=2000,
    )
    for some in consensus.chunks(ids):
        Query.objects.filter(pk__in=some).update(state=Query.State.SETTLED, settled_at=now, propagated_at=None)


def _write_turns(
    project: Project,
    places: _Places,
    taken: Sequence[tuple[Assignment, list[Pair]]],
    passages: Mapping[str, tuple[int, str]],
) -> Imported:
    for assignment, given in taken:
        assignment.order = [passages[pair.corpus_id][0] for pair in given]
    places.write(project, [assignment for assignment, _given in taken])
    return Imported(judgements=_judgements(taken, passages))


def _judgements(turns: Iterable[tuple[Assignment, Sequence[Pair]]], passages: Mapping[str, tuple[int, str]]) -> int:
    rows = [
        Judgement(
            assignment=turn,
            query_id=turn.query_id,
            passage_id=passages[pair.corpus_id][0],
            content_hash=passages[pair.corpus_id][1],
            curator=turn.curator,
            grade=pair.grade,
            comment=pair.comment,
        )
        for turn, pairs in turns
        for pair in pairs
    ]
    return len(Judgement.objects.bulk_create(rows, batch_size=2000))


def _submitted(query: Query, person: User, slot: int, order: Sequence[int] = ()) -> Assignment:
    now = timezone.now()
    return Assignment(
        project_id=query.project_id,
        query=query,
        slot=slot,
        state=Assignment.State.SUBMITTED,
        curator=person,
        random_key=random.random(),
        order=list(order),
        claimed_at=now,
        submitted_at=now,
    )


def _rescaled(pairs: Sequence[Pair]) -> tuple[Sequence[Pair], tuple[str, ...]]:
    """Grades of a 0/1 collection as 0 and 3, with the note that says so; others as they are."""
    if not pairs or max(pair.grade or 0 for pair in pairs) != 1:
        return pairs, ()
    raised = [replace(pair, grade=ANSWERS_IT) if pair.grade else pair for pair in pairs]
    return raised, (_("The collection grades 0 and 1 only: its 1 was taken as 3, “answers it”."),)


def _add_once(given: dict[str, Pair], name: str, pair: Pair) -> None:
    there = given.setdefault(name, pair)
    if there.grade != pair.grade:
        raise BadInput(
            pair.file, pair.line, _("a second grade for the same pair; line %(n)d has another") % {"n": there.line}
        )


def _slots(query: Query, project: Project) -> int:
    return query.overlap or project.overlap


def _cut_note(cut: int) -> tuple[str, ...]:
    if not cut:
        return ()
    return (_("%(n)d judgements name a document that was cut into passages, and were skipped.") % {"n": cut},)


def _note(project: Project, actor: User | None, done: Imported) -> None:
    data = {"judgements": done.judgements, "answers": done.answers}
    audit_log.note("imported", project=project, actor=actor, data=data)
