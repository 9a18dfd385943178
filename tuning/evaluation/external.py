"""Measure a release on judgements from outside, changing nothing.

Rankings are of documents, the unit such files speak of: a document stands where its best passage stands. A file
that names passages instead is measured on passages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from django.utils.translation import gettext as _

from common.messages import StrOrMessage
from common.text_files import BadInput, read_jsonl, read_qrels, text_of
from curation.models import Project, Release
from retrieval.models import Document, Passage
from tuning.engine.metrics import ranking_metrics
from tuning.engine.metrics.ranking_metrics import Gain, RankingMetrics
from tuning.evaluation import offline_run
from tuning.evaluation.offline_run import PerQuery
from tuning.models import DatasetQuery, Split

_BATCH = 5000
# trec_eval's default. The grades of a file are its own: no consensus of several people, so nothing is rounded.
PUBLIC_RELEVANT_FROM = 1.0

T = TypeVar("T")
Progress = Callable[[int, int, StrOrMessage], None]
Ranked = dict[str, list[tuple[str, float]]]  # query_id → (id, score), best first


@dataclass(frozen=True)
class Outside:
    """What the files say: query_id → text, → id → grade, → reference answers; and whether the ids are passages'."""

    texts: dict[str, str]
    grades: dict[str, dict[str, float]]
    references: dict[str, list[str]]
    of_passages: bool


def read(project: Project, qrels: Path, queries: Path | None = None, answers: Path | None = None) -> Outside:
    """The files, with every id known. Raises BadInput with file and line.

    A query's text is looked for in `queries`, in the project, and in the queries.jsonl that lies beside the
    qrels' folder in a BEIR collection.
    """
    lines: dict[str, int] = {}
    places: dict[str, int] = {}
    grades: dict[str, dict[str, float]] = {}
    for line, query_id, known_id, grade in read_qrels(qrels):
        lines.setdefault(query_id, line)
        places.setdefault(known_id, line)
        grades.setdefault(query_id, {})[known_id] = float(grade)
    if not grades:
        raise BadInput(qrels, None, _("holds no judgement"))
    of_passages = _level(project, qrels, places)
    texts = _texts(project, qrels, queries, lines)
    return Outside(texts, grades, _references(answers, texts) if answers else {}, of_passages)


def rank(
    release: Release, outside: Outside, depth: int, mode: str, on_progress: Progress
) -> tuple[Ranked, offline_run.Rankings]:
    """The first `depth` documents (or passages) of each query, and the hits behind them.

    Searched deeper for the queries whose passages are too few documents.
    """
    found: Ranked = {}
    hits: offline_run.Rankings = {}
    texts, want = dict(outside.texts), depth
    while texts:
        some = offline_run.rank(release, texts, want, on_progress, mode)
        names = _names(some, outside.of_passages)
        for query_id, ranked in some.items():
            best: dict[str, float] = {}
            for hit in ranked:
                best.setdefault(names[hit.passage_id], hit.score)
            found[query_id] = list(best.items())[:depth]
        hits |= some
        texts = {
            query_id: text
            for query_id, text in texts.items()
            if len(found[query_id]) < depth and len(some[query_id]) >= want
        }
        want *= 4
    return found, hits


def measure(found: Ranked, outside: Outside, k: int, gain: Gain = "exponential") -> RankingMetrics:
    """ndcg@k, recall@k, mrr@k and judged@k against the file's grades."""
    rankings = {query_id: [name for name, _score in ranked] for query_id, ranked in found.items()}
    return ranking_metrics.evaluate(
        rankings,
        outside.grades,
        ndcg_at=[k],
        recall_at=[k],
        mrr_at=[k],
        judged_at=[k],
        gain=gain,
        relevant_from=PUBLIC_RELEVANT_FROM,
    )


def answer(
    release: Release, outside: Outside, hits: offline_run.Rankings, limit: int | None, on_progress: Progress
) -> PerQuery:
    """query_id → em and f1 of the release's answer, for the queries with a reference; a random `limit` of them."""
    ids = sorted(outside.references, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())[:limit]
    texts = {query_id: outside.texts[query_id] for query_id in ids}
    return offline_run.measure_answers(offline_run.write(release, texts, hits, on_progress), outside.references)


def trained_on(project: Project, outside: Outside) -> int:
    """How many of the file's queries are in the training split of one of the project's datasets."""
    taught = DatasetQuery.objects.filter(dataset__project=project, split=Split.TRAIN)
    return sum(
        taught.filter(query__external_id__in=some).values("query").distinct().count()
        for some in _batches(list(outside.texts))
    )


def write_run(path: Path, found: Ranked, tag: str) -> None:
    """A TREC run. Raises BadInput for an id with white space, which that format cannot hold."""
    lines = []
    for query_id, ranked in found.items():
        for rank_, (name, score) in enumerate(ranked, start=1):
            for field in (query_id, name):
                if len(field.split()) != 1:
                    raise BadInput(path, None, _("a TREC run cannot hold the id “%(id)s”") % {"id": field})
            lines.append(f"{query_id} Q0 {name} {rank_} {score:.6f} {tag}\n")
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise BadInput(path, None, error.strerror or str(error)) from error


def _level(project: Project, qrels: Path, places: Mapping[str, int]) -> bool:
    """Whether the ids are passages'. Raises BadInput at the first one that is neither document nor passage."""
    documents = _known(Document.objects.filter(corpus=project.corpus), places)
    if len(documents) == len(places):
        return False
    passages = _known(Passage.objects.filter(corpus=project.corpus), places)
    if len(passages) == len(places):
        return True
    known = max(documents, passages, key=len)
    name = min(places.keys() - known, key=places.__getitem__)
    raise BadInput(qrels, places[name], _("“%(id)s” is not in the corpus") % {"id": name})


def _known(rows, ids: Mapping[str, int]) -> set[str]:  # type: ignore[no-untyped-def]
    """Those of the ids that an active row of the queryset has."""
    return {
        name
        for some in _batches(list(ids))
        for name in rows.active().filter(external_id__in=some).values_list("external_id", flat=True)
    }


def _texts(project: Project, qrels: Path, queries: Path | None, lines: Mapping[str, int]) -> dict[str, str]:
    found = dict(_read_texts(queries, lines)) if queries else {}
    for some in _batches([query_id for query_id in lines if query_id not in found]):
        found |= project.queries.filter(external_id__in=some).values_list("external_id", "text")
    beside = qrels.resolve().parent.parent / "queries.jsonl"
    if len(found) < len(lines) and beside.is_file():
        found = dict(_read_texts(beside, lines)) | found
    missing = lines.keys() - found
    if missing:
        name = min(missing, key=lines.__getitem__)
        raise BadInput(qrels, lines[name], _("no query “%(id)s” is known; give --queries") % {"id": name})
    return {query_id: found[query_id] for query_id in lines}


def _read_texts(path: Path, wanted: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for line, row in read_jsonl(path, required=["_id", "text"]):
        query_id = text_of(path, line, row, "_id")
        if query_id in wanted:
            yield query_id, text_of(path, line, row, "text")


def _references(path: Path, texts: Mapping[str, str]) -> dict[str, list[str]]:
    """query_id → answers, of the queries that are measured."""
    found: dict[str, list[str]] = {}
    for line, row in read_jsonl(path, required=["_id", "answers"]):
        answers = row["answers"]
        if not isinstance(answers, list) or not all(isinstance(one, str) for one in answers):
            raise BadInput(path, line, _("“answers” is not a list of texts"))
        query_id = text_of(path, line, row, "_id")
        if query_id in texts and answers:
            found[query_id] = answers
    return found


def _names(rankings: offline_run.Rankings, of_passages: bool) -> dict[int, str]:
    """passage_id → the id the files use."""
    ids = sorted({hit.passage_id for hits in rankings.values() for hit in hits})
    column = "external_id" if of_passages else "document__external_id"
    return {
        passage_id: name
        for some in _batches(ids)
        for passage_id, name in Passage.objects.filter(pk__in=some).values_list("pk", column)
    }


def _batches(items: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, _BATCH)):
        yield some
