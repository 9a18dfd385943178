"""What people decided, in the files other tools read. The same rows give the same bytes.

Everything is streamed: rows are made, written and forgotten. A passage nobody judged is never written as a
negative; where a format knows two states only, judged-not passages are its negatives.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from common import artifacts
from curation.engine.statistics import relevance
from curation.models import Judgement, Project
from retrieval.models import Passage
from tuning.datasets import collect
from tuning.datasets.external_ids import Names, by_batch
from tuning.engine.data.examples import JudgedQuery
from tuning.exports import instruction_data

Json = dict[str, Any]
Lines = Iterator[tuple[str, int]]  # text, and how many rows it is (0 for a header)
Write = Callable[[Project, Iterable[JudgedQuery]], Lines]


class NoSuchFormat(Exception):
    """The format is none of those the export has."""


class NothingToExport(Exception):
    """No settled row gives a line of this export."""


def export(project: Project, what: str, form: str, target: Path, rows: Iterable[JudgedQuery] | None = None) -> int:
    """How many rows were written to `target`, which appears whole or not at all; a BEIR folder for `beir`.

    rows: those of a dataset; all settled ones of the project without it. Raises NoSuchFormat, NothingToExport,
    FileExistsError for a folder that is there.
    """
    if form not in FORMATS.get(what, {}):
        raise NoSuchFormat(
            _("%(what)s comes as %(formats)s") % {"what": what, "formats": ", ".join(FORMATS.get(what, {}))}
        )
    rows = collect.settled_rows(project) if rows is None else rows
    if what == "beir":
        return _beir(project, rows, target)
    lines = FORMATS[what][form](project, rows)
    count = 0

    def fill(part: Path) -> None:
        nonlocal count
        with part.open("w", encoding="utf-8", newline="") as file:
            for line, rows_in_it in lines:
                file.write(line)
                count += rows_in_it
        if not count:
            raise NothingToExport(_("no settled row gives a line of %(what)s") % {"what": what})

    artifacts.write_file(target, fill)
    return count


def _jsonl(each: Callable[[JudgedQuery, Names], Iterable[Any]]) -> Write:
    """One JSON object a line, for every object that `each` makes of a row."""

    def lines(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
        for row, names in by_batch(project, rows):
            for found in each(row, names):
                yield _json(found), 1

    return lines


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _graded(row: JudgedQuery) -> list[tuple[str, float]]:
    """The row's passages, best grade first, then by id."""
    return sorted(row.grades.items(), key=lambda pair: (-pair[1], int(pair[0])))


def _positives(row: JudgedQuery) -> list[str]:
    """Return the passages that answer the query, best first; where none does, those that are related."""
    min_grade = relevance.min_positive_grade(row.grades.values())
    return [passage for passage, grade in _graded(row) if relevance.is_positive(grade, min_grade)]


def _negatives(row: JudgedQuery) -> list[str]:
    """Return the passages that were judged not relevant, by id."""
    judged = row.grades.items()
    return sorted((passage for passage, grade in judged if relevance.is_judged_not_relevant(grade)), key=int)


def _triplets(row: JudgedQuery, names: Names) -> Iterator[Json]:
    negatives = {f"negative_{n}": names.text(passage) for n, passage in enumerate(_negatives(row), start=1)}
    for passage in _positives(row):
        yield {"anchor": row.text, "positive": names.text(passage), **negatives}


def _listwise(row: JudgedQuery, names: Names) -> Iterator[Json]:
    graded = _graded(row)
    if graded:
        docs, labels = [names.text(passage) for passage, _grade in graded], [grade for _passage, grade in graded]
        yield {"query": row.text, "docs": docs, "labels": labels}


def _flag(row: JudgedQuery, names: Names) -> Iterator[Json]:
    positives = [names.text(passage) for passage in _positives(row)]
    if positives:
        yield {"query": row.text, "pos": positives, "neg": [names.text(one) for one in _negatives(row)], "prompt": ""}


def _msmarco(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    for row, names in by_batch(project, rows):
        for positive in _positives(row):
            for negative in _negatives(row):
                yield f"{names.query[row.query_id]}\t{names.passage(positive)}\t{names.passage(negative)}\n", 1


def _qrels_beir(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    yield "query-id\tcorpus-id\tscore\n", 0
    for query, passage, grade in _pairs(project, rows):
        yield f"{query}\t{passage}\t{grade}\n", 1


def _qrels_trec(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    for query, passage, grade in _pairs(project, rows):
        yield f"{'_'.join(query.split())} 0 {'_'.join(passage.split())} {grade}\n", 1


def _pairs(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[tuple[str, str, int]]:
    """query, passage, grade; a consensus between two grades counts as the nearer one, half-way as the higher."""
    for row, names in by_batch(project, rows):
        for passage, grade in sorted(row.grades.items(), key=lambda pair: int(pair[0])):
            yield names.query[row.query_id], names.passage(passage), relevance.nearest_grade(grade)


def _judgements(project: Project, rows: Iterable[JudgedQuery]) -> Iterator[Json]:
    """Every standing judgement of submitted work, as `import_judgements` reads it; the rows do not matter here."""
    found: QuerySet[Judgement] = Judgement.objects.submitted().filter(query__project=project)
    for one in (
        found.select_related("query", "passage", "curator").order_by("query_id", "passage_id", "curator_id").iterator()
    ):
        yield {
            "query_id": one.query.external_id,
            "corpus_id": one.passage.external_id,
            "curator": one.curator.get_username(),
            "grade": one.grade,
            "comment": one.comment,
        }


def _judgements_jsonl(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    return ((_json(found), 1) for found in _judgements(project, rows))


def _judgements_csv(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    for number, found in enumerate(_judgements(project, rows)):
        if number == 0:
            yield _csv(list(found)), 0
        yield _csv(["" if value is None else value for value in found.values()]), 1


def _csv(values: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _beir(project: Project, rows: Iterable[JudgedQuery], target: Path) -> int:
    """A BEIR folder: every active passage, the settled queries, and qrels of each split (`all` without splits)."""
    count = 0

    def fill(part: Path) -> None:
        nonlocal count
        (part / "qrels").mkdir()
        with (part / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
            for one in Passage.objects.active().filter(corpus=project.corpus).order_by("pk").iterator():
                corpus.write(_json({"_id": one.external_id, "title": one.title, "text": one.text}))
        qrels: dict[str, Any] = {}
        with ExitStack() as files, (part / "queries.jsonl").open("w", encoding="utf-8") as queries:
            answers = files.enter_context((part / "answers.jsonl").open("w", encoding="utf-8"))
            for row, names in by_batch(project, rows):
                name = names.query[row.query_id]
                queries.write(_json({"_id": name, "text": row.text}))
                if row.answer:
                    answers.write(_json({"_id": name, "answers": [row.answer]}))
                split = row.split if row.cluster else "all"
                if split not in qrels:
                    qrels[split] = files.enter_context((part / "qrels" / f"{split}.tsv").open("w", encoding="utf-8"))
                    qrels[split].write("query-id\tcorpus-id\tscore\n")
                for passage, grade in sorted(row.grades.items(), key=lambda pair: int(pair[0])):
                    qrels[split].write(f"{name}\t{names.passage(passage)}\t{relevance.nearest_grade(grade)}\n")
                count += 1
        if not count:
            raise NothingToExport(_("no query is settled"))

    artifacts.write_folder(target, fill, {"kind": "beir", "project": project.slug})
    return count


def _of_instances(make: Callable[..., Iterator[Any]], shape: Callable[[Any], Iterable[Json]]) -> Write:
    """One JSON object a line, for every instance and every object the format makes of it."""

    def lines(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
        return ((_json(found), 1) for instance in make(project, rows) for found in shape(instance))

    return lines


def _nothing(project: Project, rows: Iterable[JudgedQuery]) -> Lines:
    """A folder is not a stream of lines: `_beir` writes it."""
    return iter(())


# what → format → how; the first format of each is its default.
FORMATS: dict[str, dict[str, Write]] = {
    "lm-sft": {form: _of_instances(instruction_data.instances, shape) for form, shape in instruction_data.SFT.items()},
    "lm-dpo": {form: _of_instances(instruction_data.pairs, shape) for form, shape in instruction_data.DPO.items()},
    "retriever": {
        "sentence-transformers": _jsonl(_triplets),
        "listwise": _jsonl(_listwise),
        "flagembedding": _jsonl(_flag),
        "msmarco": _msmarco,
    },
    "reranker": {"sentence-transformers": _jsonl(_listwise), "flagembedding": _jsonl(_flag), "msmarco": _msmarco},
    "qrels": {"beir": _qrels_beir, "trec": _qrels_trec},
    "judgements": {"jsonl": _judgements_jsonl, "csv": _judgements_csv},
    "beir": {"beir": _nothing},
}
