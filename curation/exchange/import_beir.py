"""Import a BEIR folder: documents, queries, settled judgements and answers. All of it or nothing.

Everything is read and checked before the first row is written, and written in bulk. A second import of the same
folder changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.db import transaction
from django.utils.translation import gettext as _

from common.text_files import BadInput, parse_text, read_jsonl
from curation.exchange import file_formats, lookups
from curation.exchange.import_judgements import import_qrels
from curation.exchange.import_queries import add_queries
from curation.exchange.import_result import ImportResult, Progress
from curation.models import Project
from curation.review import staleness
from retrieval.documents import ingest

DEFAULT_CURATOR = "importer"


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
) -> ImportResult:
    """Import a BEIR folder into the project of that slug, which is created if needed.

    queries_split: only the queries of qrels/<split>.tsv; without it all. judge_split: the judgements of
    qrels/<split>.tsv, settled as this curator's, with the first answer of answers.jsonl to each judged query.
    Raises BadInput.
    """
    project = lookups.get_or_create_project(slug)
    without_text: set[str] = set()
    result = _import_corpus(project, folder / "corpus.jsonl", without_text, on_progress)
    if corpus_only:
        return result
    judgements = list(file_formats.read_beir_qrels(folder, judge_split, curator)) if judge_split else []
    query_ids = None
    if queries_split:
        query_ids = {row.query_id for row in file_formats.read_beir_qrels(folder, queries_split, curator)}
        query_ids |= {row.query_id for row in judgements}
    path = folder / "queries.jsonl"
    queries = [row for row in file_formats.read_queries(path) if query_ids is None or row.external_id in query_ids]
    result += add_queries(project, path, queries)
    if judgements:
        answers = file_formats.read_answers(folder / "answers.jsonl")
        result += import_qrels(project, judgements, curator, answers, without_text=without_text)
    return result


def _import_corpus(project: Project, path: Path, without_text: set[str], on_progress: Progress | None) -> ImportResult:
    """Ingest corpus.jsonl. Ids of documents without any text are added to `without_text`."""

    def sources() -> Iterator[ingest.SourceDocument]:
        line = 0
        for line, row in read_jsonl(path, ("_id", "text")):
            name, title = parse_text(path, line, row, "_id"), parse_text(path, line, row, "title", default="")
            text = parse_text(path, line, row, "text", default="")
            if not title and not text:
                without_text.add(name)
            yield ingest.SourceDocument(name, title, text, file_formats.parse_metadata(path, line, row), path, line)
        if not line:
            raise BadInput(path, None, _("the file contains no documents"))

    progress = (lambda done, total: on_progress(done, total, _("documents"))) if on_progress else None
    ingested = ingest.ingest(project.corpus, sources(), whole=True, on_progress=progress)
    notes = staleness.of_ingest(ingested).notes
    return ImportResult(documents=ingested.documents, passages=ingested.passages, skipped=ingested.skipped, notes=notes)
