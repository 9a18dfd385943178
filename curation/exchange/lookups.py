"""What the names in other people's files stand for here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from common.text_files import BadInput
from curation.exchange.file_formats import Pair
from curation.models import Assignment, Membership, Project, Query
from curation.review import consensus
from retrieval.models import Document, Passage


def queries_of(project: Project, pairs: Sequence[Pair]) -> dict[str, Query]:
    """External id → query, of those the pairs name. Raises BadInput for one that is not there."""
    known = queries_named(project, {pair.query_id for pair in pairs})
    for pair in pairs:
        if pair.query_id not in known:
            raise BadInput(pair.file, pair.line, _("there is no query “%(id)s”") % {"id": pair.query_id})
    return known


def passages_of(
    project: Project, pairs: Sequence[Pair], without_text: Collection[str] = ()
) -> tuple[dict[str, tuple[int, str]], int]:
    """The passages that the pairs name, and how many pairs name a document that was cut instead.

    without_text: names that may be missing. Raises BadInput for any other.
    """
    known = passages_named(project, {pair.corpus_id for pair in pairs})
    missing = {pair.corpus_id for pair in pairs} - known.keys() - set(without_text)
    documents = Document.objects.active().filter(corpus=project.corpus)
    cut = set()
    for some in consensus.chunks(sorted(missing)):
        cut |= set(documents.filter(external_id__in=some).values_list("external_id", flat=True))
    for pair in pairs:
        if pair.corpus_id in missing - cut:
            raise BadInput(pair.file, pair.line, _("there is no passage “%(id)s”") % {"id": pair.corpus_id})
    return known, sum(pair.corpus_id in cut for pair in pairs)


def queries_named(project: Project, names: Collection[str]) -> dict[str, Query]:
    """External id → query, of those that are there."""
    rows: dict[str, Query] = {}
    for some in consensus.chunks(sorted(names)):
        rows |= {query.external_id: query for query in project.queries.filter(external_id__in=some)}
    return rows


def passages_named(project: Project, names: Collection[str]) -> dict[str, tuple[int, str]]:
    """External id → (pk, content hash) of the active passages."""
    rows: dict[str, tuple[int, str]] = {}
    active = Passage.objects.active().filter(corpus=project.corpus)
    for some in consensus.chunks(sorted(names)):
        found = active.filter(external_id__in=some).values_list("external_id", "pk", "content_hash")
        rows |= {name: (pk, content_hash) for name, pk, content_hash in found}
    return rows


def begun(queries: Iterable[Query]) -> set[int]:
    """Those that are past judging, or that somebody holds or has submitted."""
    queries = list(queries)
    found = {query.pk for query in queries if query.state != Query.State.OPEN}
    held = Assignment.objects.filter(curator__isnull=False)
    for some in consensus.chunks([query.pk for query in queries]):
        found |= set(held.filter(query__in=some).values_list("query_id", flat=True))
    return found


def person_named(project: Project, name: str) -> User:
    """The curator of that name, an annotator of the project; who is new cannot sign in until given a password."""
    person = User.objects.filter(username=name).first()
    if person is None:
        person = User.objects.create_user(name)
    Membership.objects.get_or_create(project=project, user=person)
    return person
