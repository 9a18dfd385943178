"""Lookups: the rows that the names in imported files stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from common.batches import batches
from common.text_files import BadInput
from curation.exchange.file_formats import JudgementRow
from curation.models import Assignment, Membership, Project, Query
from retrieval.models import Corpus, Document, Passage


class PassageId(NamedTuple):
    """A passage and the hash of its text."""

    pk: int
    content_hash: str


def queries_of(project: Project, rows: Sequence[JudgementRow]) -> dict[str, Query]:
    """Return external id → query for the rows. Raises BadInput for an unknown query."""
    queries = queries_by_name(project, {row.query_id for row in rows})
    for row in rows:
        if row.query_id not in queries:
            raise BadInput(row.file, row.line, _("there is no query “%(id)s”") % {"id": row.query_id})
    return queries


def passages_of(
    project: Project, rows: Sequence[JudgementRow], without_text: Collection[str] = ()
) -> tuple[dict[str, PassageId], int]:
    """Return external id → passage, and the number of rows that name a chunked document instead of a passage.

    without_text: names that may be missing. Raises BadInput for any other unknown name.
    """
    passages = passages_by_name(project, {row.corpus_id for row in rows})
    missing = {row.corpus_id for row in rows} - passages.keys() - set(without_text)
    documents = Document.objects.active().filter(corpus=project.corpus)
    chunked: set[str] = set()
    for names in batches(sorted(missing)):
        chunked |= set(documents.filter(external_id__in=names).values_list("external_id", flat=True))
    for row in rows:
        if row.corpus_id in missing - chunked:
            raise BadInput(row.file, row.line, _("there is no passage “%(id)s”") % {"id": row.corpus_id})
    return passages, sum(row.corpus_id in chunked for row in rows)


def queries_by_name(project: Project, names: Collection[str]) -> dict[str, Query]:
    """Return external id → query; unknown names are left out."""
    queries: dict[str, Query] = {}
    for batch in batches(sorted(names)):
        queries |= {query.external_id: query for query in project.queries.filter(external_id__in=batch)}
    return queries


def passages_by_name(project: Project, names: Collection[str]) -> dict[str, PassageId]:
    """Return external id → active passage; unknown names are left out."""
    passages: dict[str, PassageId] = {}
    active = Passage.objects.active().filter(corpus=project.corpus)
    for batch in batches(sorted(names)):
        rows = active.filter(external_id__in=batch).values_list("external_id", "pk", "content_hash")
        passages |= {name: PassageId(pk, content_hash) for name, pk, content_hash in rows}
    return passages


def started_queries(queries: Iterable[Query]) -> set[int]:
    """Return the pks of queries that are no longer open, or that somebody holds or has submitted."""
    queries = list(queries)
    started = {query.pk for query in queries if query.state != Query.State.OPEN}
    held = Assignment.objects.filter(curator__isnull=False)
    for ids in batches(query.pk for query in queries):
        started |= set(held.filter(query__in=ids).values_list("query_id", flat=True))
    return started


def get_or_create_curator(project: Project, name: str) -> User:
    """Return the user of that name, as a member of the project. A new user has no password and cannot sign in."""
    user = User.objects.filter(username=name).first()
    if user is None:
        user = User.objects.create_user(name)
    Membership.objects.get_or_create(project=project, user=user)
    return user


def get_or_create_project(slug: str) -> Project:
    """Return the project of that slug; a new one gets the corpus of the same slug."""
    project = Project.objects.select_related("corpus").filter(slug=slug).first()
    if project is not None:
        return project
    corpus, _is_new = Corpus.objects.get_or_create(slug=slug, defaults={"name": slug})
    return Project.objects.create(slug=slug, name=slug, corpus=corpus)
