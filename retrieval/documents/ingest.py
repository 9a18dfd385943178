"""Documents come in: cut into passages, told apart from what is there already, the old retired.

A document is known by its id within the corpus. The same text again changes nothing. New text makes a new
document; those of its passages that stand where they stood with the words they had are kept with their
judgements, the others are retired and replaced. Everything of one call happens, or nothing does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from common.text_files import BadInput
from retrieval.engine.text import chunking
from retrieval.models import Corpus, Document, Passage

# Tokens of the encoder that ship with Tandem read 256; its own two marks and the estimate's error need room.
PASSAGE_TOKENS = 200
_BATCH = 500

Progress = Callable[[int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One document as it was found. file and line say where, for the message when something is wrong with it."""

    external_id: str
    title: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    file: Path | None = None
    line: int | None = None


@dataclass(frozen=True)
class Ingested:
    """What one call did: documents and passages that are new, documents as they were, passages retired,
    sources without any text."""

    documents: int
    passages: int
    unchanged: int
    retired: int
    skipped: int

    def __add__(self, other: Ingested) -> Ingested:
        return Ingested(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def ingest(
    corpus: Corpus, sources: Iterable[Source], *, whole: bool = False, on_progress: Progress | None = None
) -> Ingested:
    """Bring the sources into the corpus, in one transaction.

    whole: a document is one passage with the document's id. Otherwise it is cut, and its passages are
    `id#0`, `id#1` … on_progress(done, 0) is called with the sources seen so far. Documents of the corpus
    that are not among the sources stay. Raises BadInput for an id that comes twice, or is too long, and
    when not one source holds any text; nothing was changed then.
    """
    intake = _Intake(corpus, whole)
    with transaction.atomic():
        Corpus.objects.select_for_update().get(pk=corpus.pk)  # one at a time
        seen = 0
        for batch in _batches(sources):
            intake.take(batch)
            seen += len(batch)
            if on_progress:
                on_progress(seen, 0)
        if not intake.documents and not intake.unchanged:
            raise BadInput(intake.place or corpus.slug, None, _("no document with any text"))
    return Ingested(intake.documents, intake.passages, intake.unchanged, intake.retired, intake.skipped)


def remove(corpus: Corpus, external_ids: Iterable[str]) -> int:
    """The number of documents retired, with their passages. They stay as rows: judgements refer to them."""
    now = timezone.now()
    retired = 0
    with transaction.atomic():
        for ids in _batches(external_ids):
            documents = corpus.documents.active().filter(external_id__in=ids)
            Passage.objects.active().filter(document__in=documents).update(retired_at=now)
            retired += documents.update(retired_at=now)
    return retired


def content_hash(title: str, text: str) -> str:
    """sha256 of what is read and judged: title and text."""
    return hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()


class _Intake:
    """One call of `ingest`: its counts, and the ids it has seen."""

    def __init__(self, corpus: Corpus, whole: bool) -> None:
        self.corpus = corpus
        self.whole = whole
        self.now = timezone.now()
        self.place: Path | None = None
        self.documents = self.passages = self.unchanged = self.retired = self.skipped = 0
        self._ids: set[str] = set()

    def take(self, batch: list[Source]) -> None:
        for source in batch:
            self._check(source)
        named = {source.external_id: source for source in batch if source.text.strip() or source.title.strip()}
        self.skipped += len(batch) - len(named)
        there = {
            document.external_id: document
            for document in self.corpus.documents.active().filter(external_id__in=list(named))
        }
        changed = [source for name, source in named.items() if not self._is_known(there.get(name), source)]
        self.unchanged += len(named) - len(changed)
        self._replace([there[source.external_id] for source in changed if source.external_id in there], changed)

    def _check(self, source: Source) -> None:
        self.place = source.file or self.place
        file = source.file or self.corpus.slug
        if not source.external_id:
            raise BadInput(file, source.line, _("a document without an id"))
        longest = Document._meta.get_field("external_id").max_length or 0
        if len(source.external_id) > longest:
            raise BadInput(file, source.line, _("an id longer than %(n)d characters") % {"n": longest})
        if source.external_id in self._ids:
            raise BadInput(file, source.line, _("“%(id)s” comes twice") % {"id": source.external_id})
        self._ids.add(source.external_id)

    def _is_known(self, document: Document | None, source: Source) -> bool:
        return document is not None and document.content_hash == self._hash(source)

    def _hash(self, source: Source) -> str:
        """A document that is cut another way is another document."""
        way = "whole" if self.whole else f"cut {PASSAGE_TOKENS}"
        return hashlib.sha256(f"{way}\0{source.title}\0{source.text}".encode()).hexdigest()

    def _replace(self, old: list[Document], sources: list[Source]) -> None:
        if not sources:
            return
        Document.objects.filter(pk__in=[document.pk for document in old]).update(retired_at=self.now)
        documents = Document.objects.bulk_create(
            Document(
                corpus=self.corpus,
                external_id=source.external_id,
                title=source.title,
                metadata=source.metadata,
                content_hash=self._hash(source),
            )
            for source in sources
        )
        wanted = [
            passage
            for document, source in zip(documents, sources, strict=True)
            for passage in self._passages(document, source)
        ]
        self._settle(old, wanted)
        self.documents += len(documents)

    def _passages(self, document: Document, source: Source) -> Iterator[Passage]:
        texts = [source.text] if self.whole else chunking.cut(source.text, PASSAGE_TOKENS, source.title) or [""]
        for position, text in enumerate(texts):
            yield Passage(
                corpus=self.corpus,
                document=document,
                external_id=source.external_id if self.whole else f"{source.external_id}#{position}",
                position=position,
                title=source.title,
                text=text,
                content_hash=content_hash(source.title, text),
            )

    def _settle(self, old: list[Document], wanted: list[Passage]) -> None:
        """Keep the passages that are as they were, retire the other old ones, make the new ones."""
        there = {
            (passage.external_id, passage.content_hash): passage
            for passage in Passage.objects.active().filter(document__in=old)
        }
        new, kept = [], []
        for passage in wanted:
            as_it_was = there.pop((passage.external_id, passage.content_hash), None)
            if as_it_was is None:
                new.append(passage)
            else:
                as_it_was.document = passage.document
                kept.append(as_it_was)
        Passage.objects.bulk_update(kept, ["document"], batch_size=_BATCH)
        gone = [passage.pk for passage in there.values()]
        for pks in _batches(gone):
            self.retired += Passage.objects.filter(pk__in=pks).update(retired_at=self.now)
        self.passages += len(Passage.objects.bulk_create(new))


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of up to _BATCH: a database takes only so many parameters."""
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
