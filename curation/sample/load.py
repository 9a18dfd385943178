"""Load the sample project into an empty installation, or continue a load that was interrupted.

Each step checks whether it is done, so a second load leaves the work of people unchanged. The judged questions go
through the same acts as the work of people: claim, grade, answer, submit. Where two people judged, consensus settles
the query or a review waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from common.jobs import worker_name
from common.messages import StrOrMessage
from curation.annotation import assignments, claims, judgements
from curation.models import Guidelines, Membership, Project, Query, Release
from curation.queries import intake
from curation.releases import lifecycle, retrieve
from curation.sample.corpus import SampleCorpus, python_version, read_corpus
from curation.sample.passage_names import PassageNames
from curation.sample.people import PASSWORD, PEOPLE
from curation.sample.questions import Question, Sample, SampleAssignment, read_sample
from retrieval.documents import ingest, withdrawal
from retrieval.documents.ingest import SourceDocument
from retrieval.index import encoders, index_builds
from retrieval.models import Corpus, Encoder, Passage
from retrieval.search.results import Hit

Progress = Callable[[int, int, StrOrMessage], None]

SLUG = "python"
GRADES = [
    {
        "grade": 0,
        "label": gettext_noop("Not relevant"),
        "description": "Another topic, even if the words are the same.",
    },
    {
        "grade": 1,
        "label": gettext_noop("Related"),
        "description": "Same topic, but does not answer any part of the question.",
    },
    {"grade": 2, "label": gettext_noop("Partly answers"), "description": "Contains a part of the answer."},
    {
        "grade": 3,
        "label": gettext_noop("Answers"),
        "description": "From this passage alone you could write the answer.",
    },
]


@dataclass(frozen=True)
class LoadedSample:
    """Counts of the sample project after a load.

    keys: passage names in the files. unmatched: names without a passage in this Python. added: new questions.
    """

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
) -> LoadedSample:
    """Load the sample project with its members, index build, base release, settled queries and queue.

    encoder: default the encoder of the settings. corpus: default the passages of the running Python. only: ids of the
    questions to load; default all. Existing rows stay. Raises BuildError and NoEncoder.
    """
    report = on_progress or (lambda done, total, note: None)
    passages = corpus or read_corpus()
    project = _get_or_create_project(project_slug)
    people = _get_or_create_people(project)
    _ingest(project, passages, report)
    release = _get_or_create_release(project, encoder, report)
    sample = read_sample(PassageNames(passages.passages))
    if only is not None:
        sample = replace(sample, questions=tuple(one for one in sample.questions if one.external_id in only))
    added = _add_questions(project, release, sample, people, report)
    return _summary(project, passages, sample, release, added)


def _get_or_create_project(slug: str) -> Project:
    corpus, _is_new = Corpus.objects.get_or_create(slug=slug, defaults={"name": _("Python documentation")})
    project, _is_new = Project.objects.select_related("corpus").get_or_create(
        slug=slug,
        defaults={
            "name": _("Ask Python"),
            "corpus": corpus,
            "description": _(
                "An assistant for the Python language: the language reference and the docstrings of the standard "
                "library, from your own Python. Tandem's authors wrote the first queries, answers and grades."
            ),
            "grades": GRADES,
        },
    )
    text = (Path(__file__).parent / "guidelines.md").read_text(encoding="utf-8")
    if not project.guidelines.exists():
        Guidelines.objects.create(project=project, version=1, text=text)
    return project


def _get_or_create_people(project: Project) -> dict[str, User]:
    """Return the sample's users by name. Existing users keep their password and role."""
    users = get_user_model()
    people: dict[str, User] = {}
    for person in PEOPLE:
        user = users.objects.filter(username=person.name).first()
        if user is None:
            create = users.objects.create_superuser if person.is_superuser else users.objects.create_user
            user = create(person.name, password=PASSWORD)
        Membership.objects.get_or_create(project=project, user=user, defaults={"role": person.role})
        people[person.name] = user
    return people


def _ingest(project: Project, corpus: SampleCorpus, report: Progress) -> None:
    """Ingest the passages before the first release; after it the corpus stays, even under another Python."""
    if project.releases.exists():
        return
    names = {passage.external_id for passage in corpus.passages}
    existing = project.corpus.documents.active().values_list("external_id", flat=True)
    withdrawal.withdraw(project.corpus, [name for name in existing if name not in names])
    sources = (
        SourceDocument(passage.external_id, passage.title, passage.text, {"from": passage.key})
        for passage in corpus.passages
    )
    total, note = len(corpus.passages), _("reading the documentation")
    ingest.ingest(project.corpus, sources, whole=True, on_progress=lambda done, _total: report(done, total, note))


def _get_or_create_release(project: Project, encoder: Encoder | None, report: Progress) -> Release:
    """Return the live release; the first one gets a new index build, or an existing build of the same passages."""
    live = project.releases.live().first()
    if live is not None:
        return live
    encoder = encoder or encoders.default_encoder()
    changed = project.corpus.passages.aggregate(made=Max("created_at"), retired=Max("retired_at"))
    since = max(time for time in changed.values() if time is not None)
    builds = project.corpus.builds.filter(encoder=encoder).order_by("-number")
    build = builds.searchable().filter(started_at__gte=since).first() or builds.queued().first()
    build = build or index_builds.request(project.corpus, encoder)
    if not build.sha256:
        build = index_builds.build(build, worker=worker_name(), on_progress=report)
    return lifecycle.create_base_release(project, build)


def _add_questions(
    project: Project, release: Release, sample: Sample, people: dict[str, User], report: Progress
) -> int:
    """Add the missing questions, and judge those that come with grades; return the number of added questions."""
    existing = set(project.queries.values_list("external_id", flat=True))
    missing = [question for question in sample.questions if question.external_id not in existing]
    if not missing:
        return 0
    ids = dict(Passage.objects.active().filter(corpus=project.corpus).values_list("external_id", "pk"))
    hits = retrieve.search_many(release, [question.text for question in missing], project.pool_depth)
    with transaction.atomic():
        queries = _create_queries(project, release, missing, hits, ids)
        judged = [pair for pair in zip(queries, missing, strict=True) if pair[1].assignments]
        for done, (query, question) in enumerate(judged, start=1):
            for own_grades in question.assignments:
                _judge(query, question, own_grades, people[own_grades.curator], ids)
            report(done, len(judged), _("adding the authors' judgements"))
    return len(missing)


def _create_queries(
    project: Project,
    release: Release,
    questions: Sequence[Question],
    hits: Sequence[Sequence[Hit]],
    ids: dict[str, int],
) -> list[Query]:
    """Create the queries with their frozen rankings and open slots.

    The ranking is the live release's. A judged question gets it only where all its passages were judged; otherwise
    (another Python, another encoder) its ranking holds the judged passages.
    """
    queries = Query.objects.bulk_create(
        Query(
            project=project,
            external_id=question.external_id,
            text=question.text,
            source=Query.Source.SAMPLE,
            overlap=len(question.assignments) if len(question.assignments) > 1 else None,
        )
        for question in questions
    )
    retrieved, judged = [], []
    for query, question, own_hits in zip(queries, questions, hits, strict=True):
        passage_ids = [ids[name] for name in _judged_passages(question)]
        if passage_ids and not {hit.passage_id for hit in own_hits} <= set(passage_ids):
            judged.append((query, [Hit(pk, rank, 1 / rank) for rank, pk in enumerate(passage_ids, start=1)]))
        else:
            retrieved.append((query, own_hits))
    for pairs, ranked_by in ((retrieved, release), (judged, None)):
        intake.freeze_hits([query for query, _hits in pairs], ranked_by, [own_hits for _query, own_hits in pairs])
    assignments.create_open(project, queries)
    return queries


def _judged_passages(question: Question) -> list[str]:
    return list(dict.fromkeys(name for own_grades in question.assignments for name in own_grades.grades))


def _judge(query: Query, question: Question, sample: SampleAssignment, person: User, ids: dict[str, int]) -> None:
    """Judge one query as one person, through the acts of the judge page."""
    assignment = claims.claim(query, person)
    for name in sample.grades:
        if ids[name] not in assignment.order:  # found by the person, not by the search
            assignment = judgements.add_passage(assignment, ids[name])
    for position, passage_id in enumerate(assignment.order, start=1):
        names = [name for name in sample.grades if ids[name] == passage_id]
        judgements.record(assignment, passage_id, sample.grades[names[0]] if names else None, position=position)
    if question.answer is None:
        judgements.mark_unanswerable(assignment)
    else:
        sentence = re.split(r"(?<=[.!?])\s", question.answer, maxsplit=1)[0]
        citations = [{"sentence": sentence, "passage": ids[name]} for name in question.cited]
        judgements.write_answer(assignment, question.answer, citations=citations)
    judgements.submit(assignment)


def _summary(project: Project, corpus: SampleCorpus, sample: Sample, release: Release, added: int) -> LoadedSample:
    states = list(project.queries.filter(source=Query.Source.SAMPLE).values_list("state", flat=True))
    return LoadedSample(
        project=project.slug,
        python=python_version(),
        passages=project.corpus.passages.active().count(),
        questions=len(states),
        unanswerable=sum(one.is_unanswerable for one in sample.questions),
        settled=states.count(Query.State.SETTLED),
        in_review=states.count(Query.State.IN_REVIEW),
        open=states.count(Query.State.OPEN),
        judgements=sum(len(own.grades) for one in sample.questions for own in one.assignments),
        keys=sample.keys,
        unmatched=sample.unmatched,
        missing_modules=tuple(corpus.missing_modules),
        release=release.number,
        added=added,
    )


def is_local() -> bool:
    """Whether only this machine can reach the pages. The sample's passwords are well known."""
    return set(settings.ALLOWED_HOSTS) <= {"localhost", "127.0.0.1", "[::1]", "testserver"}
