"""The sample project, from nothing or from wherever an earlier start was cut off.

Each step finds out by itself whether it has been done, so a second load changes nothing of what people have
done since. The judged questions go through the same acts as anybody's work: claimed, graded, answered,
submitted; where two people judged, the consensus settles or a review waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from common.jobs import worker_name
from common.messages import StrOrMessage
from curation.annotation import assignments, judgements
from curation.models import Guidelines, Membership, Project, Query, Release
from curation.queries import intake
from curation.releases import lifecycle, retrieve
from curation.sample import questions
from curation.sample.corpus import SampleCorpus, python_version
from curation.sample.corpus import read as read_corpus
from curation.sample.passage_names import Resolver
from curation.sample.people import PASSWORD, PEOPLE
from curation.sample.questions import Question, Sample
from retrieval.documents import ingest
from retrieval.documents.ingest import Source
from retrieval.index import index_builds
from retrieval.models import Corpus, Encoder, Passage
from retrieval.search.results import Hit

Progress = Callable[[int, int, StrOrMessage], None]

SLUG = "python"
GRADES = [
    {"grade": 0, "label": "Not relevant", "description": "Another subject, even if the words are the same."},
    {"grade": 1, "label": "Related", "description": "The same subject, and no help with this question."},
    {"grade": 2, "label": "Relevant", "description": "Holds a part of the answer."},
    {"grade": 3, "label": "Answers it", "description": "From this passage alone you could write the answer."},
]


@dataclass(frozen=True)
class Loaded:
    """What the sample project holds now. unmatched: keys of grades and citations without a passage in this Python."""

    project: str
    python: str
    passages: int
    questions: int
    unanswerable: int
    settled: int
    in_review: int
    open: int
    judgements: int
    keys: int
    unmatched: tuple[str, ...]
    missing_modules: tuple[str, ...]
    release: int
    added: int


def load(
    project_slug: str = SLUG,
    on_progress: Progress | None = None,
    *,
    encoder: Encoder | None = None,
    corpus: SampleCorpus | None = None,
    only: Collection[str] | None = None,
) -> Loaded:
    """The sample project with its people, index, base release, settled work and queue; what is there stays.

    What is not given: the encoder of the settings, the text of the running Python, all questions (`only` holds
    ids). Raises indexing.CannotBuild and NoEncoder.
    """
    tell = on_progress or (lambda done, total, note: None)
    found = corpus or read_corpus()
    project = _project(project_slug)
    people = _people(project)
    _passages(project, found, tell)
    release = _release(project, encoder, tell)
    sample = questions.read(Resolver(found.passages))
    if only is not None:
        sample = replace(sample, questions=tuple(one for one in sample.questions if one.external_id in only))
    added = _questions(project, release, sample, people, tell)
    return _summary(project, found, sample, release, added)


def _project(slug: str) -> Project:
    body, _is_new = Corpus.objects.get_or_create(slug=slug, defaults={"name": _("Python documentation")})
    project, _is_new = Project.objects.select_related("corpus").get_or_create(
        slug=slug,
        defaults={
            "name": _("Ask Python"),
            "corpus": body,
            "description": _(
                "An assistant for the Python language: the language reference and the docstrings of the standard "
                "library, as your own Python carries them. The questions, answers and grades it starts with were "
                "written by Tandem's authors."
            ),
            "grades": GRADES,
        },
    )
    text = (Path(__file__).parent / "guidelines.md").read_text(encoding="utf-8")
    if not project.guidelines.exists():
        Guidelines.objects.create(project=project, version=1, text=text)
    return project


def _people(project: Project) -> dict[str, AbstractBaseUser]:
    """The sample's people by name. Who is there already keeps password and role."""
    users = get_user_model()
    found: dict[str, AbstractBaseUser] = {}
    for person in PEOPLE:
        user = users.objects.filter(username=person.name).first()
        if user is None:
            make = users.objects.create_superuser if person.is_superuser else users.objects.create_user
            user = make(person.name, password=PASSWORD)
        Membership.objects.get_or_create(project=project, user=user, defaults={"role": person.role})
        found[person.name] = user
    return found


def _passages(project: Project, found: SampleCorpus, tell: Progress) -> None:
    """The documentation in the corpus; once a release serves, the corpus is people's, whatever Python runs."""
    if project.releases.exists():
        return
    names = {one.external_id for one in found.passages}
    there = project.corpus.documents.active().values_list("external_id", flat=True)
    ingest.remove(project.corpus, [name for name in there if name not in names])
    sources = (Source(one.external_id, one.title, one.text, {"from": one.key}) for one in found.passages)
    total, note = len(found.passages), _("reading the documentation")
    ingest.ingest(project.corpus, sources, whole=True, on_progress=lambda done, _total: tell(done, total, note))


def _release(project: Project, encoder: Encoder | None, tell: Progress) -> Release:
    """The release in service; the first one is made from a new build, or from one that is there."""
    serves = project.releases.serving().first()
    if serves is not None:
        return serves
    encoder = encoder or index_builds.encoder_from_settings()
    changed = project.corpus.passages.aggregate(made=Max("created_at"), retired=Max("retired_at"))
    since = max(when for when in changed.values() if when is not None)
    builds = project.corpus.builds.filter(encoder=encoder).order_by("-number")
    build = builds.searchable().filter(started_at__gte=since).first() or builds.queued().first()
    build = build or index_builds.request(project.corpus, encoder)
    if not build.sha256:
        build = index_builds.build(build, worker=worker_name(), on_progress=tell)
    return lifecycle.make_base(project, build)


def _questions(
    project: Project, release: Release, sample: Sample, people: dict[str, AbstractBaseUser], tell: Progress
) -> int:
    """Ask what has not been asked; judge what comes judged. The number of questions added."""
    there = set(project.queries.values_list("external_id", flat=True))
    fresh = [one for one in sample.questions if one.external_id not in there]
    if not fresh:
        return 0
    ids = dict(Passage.objects.active().filter(corpus=project.corpus).values_list("external_id", "pk"))
    texts = [one.text for one in fresh]
    hits = retrieve.search_many(release, texts, project.pool_depth)
    with transaction.atomic():
        queries = _ask(project, release, fresh, hits, ids)
        judged = [(query, one) for query, one in zip(queries, fresh, strict=True) if one.turns]
        for done, (query, one) in enumerate(judged, start=1):
            for turn in one.turns:
                _judge(query, one, turn, people[turn.curator], ids)
            tell(done, len(judged), _("judging as the authors did"))
    return len(fresh)


def _ask(
    project: Project,
    release: Release,
    fresh: Sequence[Question],
    hits: Sequence[Sequence[Hit]],
    ids: dict[str, int],
) -> list[Query]:
    """The questions with their frozen rankings and open slots.

    A question is frozen as the release in service ranks it; one that comes judged, too, when all it finds was
    judged, and else (another Python, another encoder) as its judges saw it.
    """
    queries = Query.objects.bulk_create(
        Query(
            project=project,
            external_id=one.external_id,
            text=one.text,
            source=Query.Source.SAMPLE,
            overlap=len(one.turns) if len(one.turns) > 1 else None,
        )
        for one in fresh
    )
    served, given = [], []
    for query, one, found in zip(queries, fresh, hits, strict=True):
        seen = [ids[name] for name in _shown(one)]
        if seen and not {hit.passage_id for hit in found} <= set(seen):
            given.append((query, [Hit(pk, rank, 1 / rank) for rank, pk in enumerate(seen, start=1)]))
        else:
            served.append((query, found))
    intake.freeze_hits([query for query, _found in served], release, [found for _query, found in served])
    intake.freeze_hits([query for query, _found in given], None, [found for _query, found in given])
    intake.open_slots_of(project, queries)
    return queries


def _shown(question: Question) -> list[str]:
    return list(dict.fromkeys(name for turn in question.turns for name in turn.grades))


def _judge(
    query: Query, question: Question, turn: questions.Turn, person: AbstractBaseUser, ids: dict[str, int]
) -> None:
    """One person's turn at one question, through the acts, with everything they leave behind."""
    assignment = assignments.claim(query, person)
    for name in turn.grades:
        if ids[name] not in assignment.order:  # the judge found it, not the search
            assignment = judgements.add_passage(assignment, ids[name])
    for position, passage_id in enumerate(assignment.order, start=1):
        names = [name for name in turn.grades if ids[name] == passage_id]
        judgements.record(assignment, passage_id, turn.grades[names[0]] if names else None, position=position)
    if question.answer is None:
        judgements.mark_unanswerable(assignment)
    else:
        sentence = re.split(r"(?<=[.!?])\s", question.answer, maxsplit=1)[0]
        links = [{"sentence": sentence, "passage": ids[name]} for name in question.cited]
        judgements.write_answer(assignment, question.answer, citations=links)
    judgements.submit(assignment)


def _summary(project: Project, found: SampleCorpus, sample: Sample, release: Release, added: int) -> Loaded:
    states = list(project.queries.filter(source=Query.Source.SAMPLE).values_list("state", flat=True))
    return Loaded(
        project=project.slug,
        python=python_version(),
        passages=project.corpus.passages.active().count(),
        questions=len(states),
        unanswerable=sum(one.is_unanswerable for one in sample.questions),
        settled=states.count(Query.State.SETTLED),
        in_review=states.count(Query.State.IN_REVIEW),
        open=states.count(Query.State.OPEN),
        judgements=sum(len(turn.grades) for one in sample.questions for turn in one.turns),
        keys=sample.keys,
        unmatched=sample.unmatched,
        missing_modules=tuple(found.missing_modules),
        release=release.number,
        added=added,
    )


def is_local() -> bool:
    """Whether only this machine can reach the pages: the sample's passwords are known to everybody."""
    return set(settings.ALLOWED_HOSTS) <= {"localhost", "127.0.0.1", "[::1]", "testserver"}
