"""Export settled work in the file formats of other tools. The same rows give the same bytes.

Rows are streamed. An unjudged passage is never written as a negative: where a format has two states only, its
negatives are the passages that were judged not relevant.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from django.utils.translation import gettext as _

from common import artifacts
from curation.engine.statistics import relevance
from curation.models import Judgement, Project
from retrieval.models import Passage
from tuning.datasets import collect
from tuning.datasets.external_ids import ExternalIds, with_external_ids
from tuning.engine.data.examples import JudgedQuery
from tuning.exports import instruction_data

Json = dict[str, Any]
Lines = Iterator[tuple[str, int]]  # text, and its number of rows (0 for a header)
LineFormat = Callable[[Project, Iterable[JudgedQuery]], Lines]
RowFormat = Callable[[JudgedQuery, ExternalIds], Iterable[Json]]


class UnknownFormat(Exception):
    """The export has no format of this name."""


class NothingToExport(Exception):
    """No settled row gives a line of this export."""


def export(project: Project, what: str, form: str, target: Path, rows: Iterable[JudgedQuery] | None = None) -> int:
    """Write an export to `target` and return its number of rows. `target` appears complete or not at all.

    what, form: keys of FORMATS; `beir` writes a folder. rows: those of a dataset; default: all settled work of the
    project. Raises UnknownFormat, NothingToExport, and FileExistsError for a folder that exists.
    """
    formats = FORMATS.get(what, {})
    if form not in formats:
        raise UnknownFormat(_("formats of %(what)s: %(formats)s") % {"what": what, "formats": ", ".join(formats)})
    rows = collect.settled_rows(project) if rows is None else rows
    if what == "beir":
        return _write_beir_folder(project, rows, target)
    lines = formats[form](project, rows)
    count = 0

    def write(part: Path) -> None:
        nonlocal count
        with part.open("w", encoding="utf-8", newline="") as file:
            for line, row_count in lines:
                file.write(line)
                count += row_count
        if not count:
            raise NothingToExport(_("no resolved query gives a row of %(what)s") % {"what": what})

    artifacts.write_file(target, write)
    return count


def _jsonl(objects_of: RowFormat) -> LineFormat:
    """Return a format with one JSON object per line, for every object that `objects_of` makes of a row."""

    def lines(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
        for row, ids in with_external_ids(project, rows):
            for record in objects_of(row, ids):
                yield _json_line(record), 1

    return lines


def _json_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _by_grade(row: JudgedQuery) -> list[tuple[str, float]]:
    """Return the row's (passage id, grade), best grade first, then by id."""
    return sorted(row.grades.items(), key=lambda item: (-item[1], int(item[0])))


def _by_id(row: JudgedQuery) -> list[tuple[str, float]]:
    """Return the row's (passage id, grade), by id."""
    return sorted(row.grades.items(), key=lambda item: int(item[0]))


def _positives(row: JudgedQuery) -> list[str]:
    """Return the passages that answer the query, best first; where none does, those that are related."""
    min_grade = relevance.min_positive_grade(row.grades.values())
    return [passage_id for passage_id, grade in _by_grade(row) if relevance.is_positive(grade, min_grade)]


def _negatives(row: JudgedQuery) -> list[str]:
    """Return the passages that were judged not relevant, by id."""
    return [passage_id for passage_id, grade in _by_id(row) if relevance.is_judged_not_relevant(grade)]


def _triplets(row: JudgedQuery, ids: ExternalIds) -> Iterator[Json]:
    negatives = {f"negative_{n}": ids.text(passage_id) for n, passage_id in enumerate(_negatives(row), start=1)}
    for passage_id in _positives(row):
        yield {"anchor": row.text, "positive": ids.text(passage_id), **negatives}


def _listwise(row: JudgedQuery, ids: ExternalIds) -> Iterator[Json]:
    graded = _by_grade(row)
    if graded:
        docs, labels = [ids.text(passage_id) for passage_id, _grade in graded], [grade for _id, grade in graded]
        yield {"query": row.text, "docs": docs, "labels": labels}


def _flagembedding(row: JudgedQuery, ids: ExternalIds) -> Iterator[Json]:
    positives = [ids.text(passage_id) for passage_id in _positives(row)]
    if positives:
        negatives = [ids.text(passage_id) for passage_id in _negatives(row)]
        yield {"query": row.text, "pos": positives, "neg": negatives, "prompt": ""}


def _msmarco(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    for row, ids in with_external_ids(project, rows):
        for positive in _positives(row):
            for negative in _negatives(row):
                yield f"{ids.query(row.query_id)}\t{ids.passage(positive)}\t{ids.passage(negative)}\n", 1


def _qrels_beir(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    yield "query-id\tcorpus-id\tscore\n", 0
    for query_id, passage_id, grade in _qrels(project, rows):
        yield f"{query_id}\t{passage_id}\t{grade}\n", 1


def _qrels_trec(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    for query_id, passage_id, grade in _qrels(project, rows):
        yield f"{'_'.join(query_id.split())} 0 {'_'.join(passage_id.split())} {grade}\n", 1


def _qrels(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[tuple[str, str, int]]:
    """Return (external query id, external passage id, nearest whole grade) of every judged passage."""
    for row, ids in with_external_ids(project, rows):
        for passage_id, grade in _by_id(row):
            yield ids.query(row.query_id), ids.passage(passage_id), relevance.nearest_grade(grade)


def _judgements(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[Json]:
    """Return every judgement of submitted work, as `import_judgements` reads it. `rows` are not used."""
    judgements = Judgement.objects.submitted().filter(query__project=project)
    ordered = judgements.order_by("query_id", "passage_id", "curator_id")
    for judgement in ordered.select_related("query", "passage", "curator").iterator():
        yield {
            "query_id": judgement.query.external_id,
            "corpus_id": judgement.passage.external_id,
            "curator": judgement.curator.get_username(),
            "grade": judgement.grade,
            "comment": judgement.comment,
        }


def _judgements_jsonl(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    return ((_json_line(record), 1) for record in _judgements(project, rows))


def _judgements_csv(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    for number, record in enumerate(_judgements(project, rows)):
        if number == 0:
            yield _csv_line(list(record)), 0
        yield _csv_line(["" if value is None else value for value in record.values()]), 1


def _csv_line(values: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _write_beir_folder(project: Project, rows: Iterable[JudgedQuery], target: Path) -> int:
    """Write a BEIR folder: every active passage, the queries, and qrels per split (`all` for rows without splits)."""
    count = 0

    def write(part: Path) -> None:
        nonlocal count
        (part / "qrels").mkdir()
        _write_beir_corpus(project, part / "corpus.jsonl")
        count = _write_beir_queries(project, rows, part)
        if not count:
            raise NothingToExport(_("no query is resolved"))

    artifacts.write_folder(target, write, {"kind": "beir", "project": project.slug})
    return count


def _write_beir_corpus(project: Project, path: Path) -> None:
    with path.open("w", encoding="utf-8") as corpus:
        for passage in Passage.objects.active().filter(corpus=project.corpus).order_by("pk").iterator():
            record = {"_id": passage.external_id, "title": passage.title, "text": passage.text}
            corpus.write(_json_line(record))


def _write_beir_queries(project: Project, rows: Iterable[JudgedQuery], folder: Path) -> int:
    """Write queries, answers and qrels in one pass, and return the number of queries."""
    count = 0
    with ExitStack() as files:
        queries = files.enter_context((folder / "queries.jsonl").open("w", encoding="utf-8"))
        answers = files.enter_context((folder / "answers.jsonl").open("w", encoding="utf-8"))
        qrels: dict[str, TextIO] = {}
        for row, ids in with_external_ids(project, rows):
            query_id = ids.query(row.query_id)
            queries.write(_json_line({"_id": query_id, "text": row.text}))
            if row.answer:
                answers.write(_json_line({"_id": query_id, "answers": [row.answer]}))
            split = row.split if row.cluster else "all"
            if split not in qrels:
                path = folder / "qrels" / f"{split}.tsv"
                qrels[split] = files.enter_context(path.open("w", encoding="utf-8"))
                qrels[split].write("query-id\tcorpus-id\tscore\n")
            for passage_id, grade in _by_id(row):
                qrels[split].write(f"{query_id}\t{ids.passage(passage_id)}\t{relevance.nearest_grade(grade)}\n")
            count += 1
    return count


def _instance_lines(
    instances_of: Callable[..., Iterator[Any]], objects_of: Callable[[Any], Iterable[Json]]
) -> LineFormat:
    """Return a format with one JSON object per line, for every object that `objects_of` makes of an instance."""

    def lines(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
        return ((_json_line(record), 1) for instance in instances_of(project, rows) for record in objects_of(instance))

    return lines


def _no_lines(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    """Return no lines: `beir` is a folder, which `_write_beir_folder` writes."""
    return iter(())


# what → format → lines; the first format of each is its default.
FORMATS: dict[str, dict[str, LineFormat]] = {
    "lm-sft": {
        form: _instance_lines(instruction_data.instances, objects_of)
        for form, objects_of in instruction_data.SFT_FORMATS.items()
    },
    "lm-dpo": {
        form: _instance_lines(instruction_data.preference_pairs, objects_of)
        for form, objects_of in instruction_data.DPO_FORMATS.items()
    },
    "retriever": {
        "sentence-transformers": _jsonl(_triplets),
        "listwise": _jsonl(_listwise),
        "flagembedding": _jsonl(_flagembedding),
        "msmarco": _msmarco,
    },
    "reranker": {
        "sentence-transformers": _jsonl(_listwise),
        "flagembedding": _jsonl(_flagembedding),
        "msmarco": _msmarco,
    },
    "qrels": {"beir": _qrels_beir, "trec": _qrels_trec},
    "judgements": {"jsonl": _judgements_jsonl, "csv": _judgements_csv},
    "beir": {"beir": _no_lines},
}
