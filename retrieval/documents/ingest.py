"""Ingest: bring documents into a corpus, chunk them into passages, and retire what they replace.

A document is identified by its id within the corpus. The same text again changes nothing. New text makes a new
document row: passages with the same id and content keep their row and their judgements; the others are retired and
replaced. Each call is one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from common.batches import batches
from common.text_files import BadInput
from retrieval.documents.signals import send_passages_retired
from retrieval.engine.text import chunking
from retrieval.models import Corpus, Document, Passage

# The packaged encoder reads 256 tokens: room for its special tokens, and for the error of the estimate.
PASSAGE_TOKENS = 200
_BATCH_SIZE = 500

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SourceDocument:
    """One document as read from a file. file and line locate it in error messages."""

    external_id: str
    title: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    file: Path | None = None
    line: int | None = None


@dataclass(frozen=True)
class IngestResult:
    """Counts of one or more ingests; results can be added.

    documents, passages: new rows. unchanged: documents with the same text as before. retired: passages. skipped:
    sources without any text. effects: what the receivers of `passages_retired` returned.
    """

    documents: int = 0
    passages: int = 0
    unchanged: int = 0
    retired: int = 0
    skipped: int = 0
    effects: tuple[object, ...] = ()

    def __add__(self, other: IngestResult) -> IngestResult:
        return IngestResult(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


@transaction.atomic
def ingest(
    corpus: Corpus, sources: Iterable[SourceDocument], *, whole: bool = False, on_progress: Progress | None = None
) -> IngestResult:
    """Bring the sources into the corpus, in one transaction. Documents that are not among them stay.

    whole: a document becomes one passage with the document's id. Otherwise it is chunked, and its passages are
    `id#0`, `id#1` … on_progress(done, 0) is called with the number of sources so far. Sends `passages_retired` once
    when passages were retired. Raises BadInput, and changes nothing, for an id that comes twice or is too long, and
    when no source has any text.
    """
    Corpus.objects.select_for_update().get(pk=corpus.pk)  # one change of a corpus at a time
    run = _Ingest(corpus, whole, timezone.now())
    done = 0
    for batch in batches(sources, _BATCH_SIZE):
        run.add(batch)
        done += len(batch)
        if on_progress:
            on_progress(done, 0)
    if not run.documents and not run.unchanged:
        raise BadInput(run.file or corpus.slug, None, _("no document with any text"))
    effects = send_passages_retired(corpus, run.now) if run.retired else ()
    return IngestResult(run.documents, run.passages, run.unchanged, run.retired, run.skipped, effects)


def content_hash(title: str, text: str) -> str:
    """Return the sha256 of what is judged: title and text."""
    return hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()


class _Ingest:
    """One call of `ingest`: its counts, and the ids so far."""

    def __init__(self, corpus: Corpus, whole: bool, now: datetime) -> None:
        self.corpus = corpus
        self.whole = whole
        self.now = now
        self.file: Path | None = None
        self.documents = self.passages = self.unchanged = self.retired = self.skipped = 0
        self._ids: set[str] = set()

    def add(self, batch: list[SourceDocument]) -> None:
        for source in batch:
            self._check(source)
        by_id = {source.external_id: source for source in batch if source.text.strip() or source.title.strip()}
        self.skipped += len(batch) - len(by_id)
        active = self.corpus.documents.active().filter(external_id__in=list(by_id))
        existing = {document.external_id: document for document in active}
        changed = [source for name, source in by_id.items() if not self._is_unchanged(existing.get(name), source)]
        self.unchanged += len(by_id) - len(changed)
        self._replace([existing[source.external_id] for source in changed if source.external_id in existing], changed)

    def _check(self, source: SourceDocument) -> None:
        self.file = source.file or self.file
        file = source.file or self.corpus.slug
        if not source.external_id:
            raise BadInput(file, source.line, _("a document without an id"))
        max_length = Document._meta.get_field("external_id").max_length or 0
        if len(source.external_id) > max_length:
            raise BadInput(file, source.line, _("an id longer than %(n)d characters") % {"n": max_length})
        if source.external_id in self._ids:
            raise BadInput(file, source.line, _("“%(id)s” comes twice") % {"id": source.external_id})
        self._ids.add(source.external_id)

    def _is_unchanged(self, document: Document | None, source: SourceDocument) -> bool:
        return document is not None and document.content_hash == self._hash(source)

    def _hash(self, source: SourceDocument) -> str:
        """Hash title, text and the way of chunking: chunked another way, it is another document."""
        way = "whole" if self.whole else f"cut {PASSAGE_TOKENS}"
        return hashlib.sha256(f"{way}\0{source.title}\0{source.text}".encode()).hexdigest()

    def _replace(self, old: list[Document], sources: list[SourceDocument]) -> None:
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
        passages = [
            passage
            for document, source in zip(documents, sources, strict=True)
            for passage in self._chunk(document, source)
        ]
        self._replace_passages(old, passages)
        self.documents += len(documents)

    def _chunk(self, document: Document, source: SourceDocument) -> Iterator[Passage]:
        texts = [source.text] if self.whole else chunking.chunk(source.text, PASSAGE_TOKENS, source.title) or [""]
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

    def _replace_passages(self, old_documents: list[Document], passages: list[Passage]) -> None:
        """Keep the old passages that are unchanged, retire the others, and create the new ones."""
        old = {
            (passage.external_id, passage.content_hash): passage
            for passage in Passage.objects.active().filter(document__in=old_documents)
        }
        new, unchanged = [], []
        for passage in passages:
            same = old.pop((passage.external_id, passage.content_hash), None)
            if same is None:
                new.append(passage)
            else:
                same.document = passage.document
                unchanged.append(same)
        Passage.objects.bulk_update(unchanged, ["document"], batch_size=_BATCH_SIZE)
        for pks in batches([passage.pk for passage in old.values()], _BATCH_SIZE):
            self.retired += Passage.objects.filter(pk__in=pks).update(retired_at=self.now)
        self.passages += len(Passage.objects.bulk_create(new))
