"""Evaluation of a release on external qrels. It changes nothing.

Public qrels judge documents, so rankings are of documents: a document has the rank of its best passage. A file that
judges passages is evaluated on passages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from django.utils.translation import gettext as _

from common.messages import StrOrMessage
from common.text_files import BadInput, parse_text, read_jsonl, read_qrels
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
RankedIds = dict[str, list[tuple[str, float]]]  # query_id → (external id, score), best first


@dataclass(frozen=True)
class ExternalQrels:
    """Contents of the files: query_id → text, → id → grade, → reference answers; of_passages: the ids are passages'."""

    texts: dict[str, str]
    grades: dict[str, dict[str, float]]
    references: dict[str, list[str]]
    of_passages: bool


def read_external_qrels(
    project: Project, qrels: Path, queries: Path | None = None, answers: Path | None = None
) -> ExternalQrels:
    """Read the files and check every id. Raises BadInput with file and line.

    The text of a query comes from `queries`, from the project, or from the queries.jsonl beside the qrels' folder
    of a BEIR collection.
    """
    line_of_query: dict[str, int] = {}
    line_of_judged: dict[str, int] = {}
    grades: dict[str, dict[str, float]] = {}
    for line, query_id, judged_id, grade in read_qrels(qrels):
        line_of_query.setdefault(query_id, line)
        line_of_judged.setdefault(judged_id, line)
        grades.setdefault(query_id, {})[judged_id] = float(grade)
    if not grades:
        raise BadInput(qrels, None, _("holds no judgement"))
    of_passages = _judges_passages(project, qrels, line_of_judged)
    texts = _texts(project, qrels, queries, line_of_query)
    return ExternalQrels(texts, grades, _references(answers, texts) if answers else {}, of_passages)


def rank_documents(
    release: Release, external: ExternalQrels, depth: int, mode: str, on_progress: Progress
) -> tuple[RankedIds, offline_run.Rankings]:
    """Return the first `depth` documents (or passages) of each query, and the hits that they come from.

    A query whose passages are of too few documents is searched again at four times the depth.
    """
    ranked_ids: RankedIds = {}
    hits: offline_run.Rankings = {}
    texts, passage_depth = dict(external.texts), depth
    while texts:
        rankings = offline_run.rank(release, texts, passage_depth, on_progress, mode)
        names = _external_ids(rankings, external.of_passages)
        for query_id, ranking in rankings.items():
            best_score: dict[str, float] = {}
            for hit in ranking:
                best_score.setdefault(names[hit.passage_id], hit.score)
            ranked_ids[query_id] = list(best_score.items())[:depth]
        hits |= rankings
        texts = {
            query_id: text
            for query_id, text in texts.items()
            if len(ranked_ids[query_id]) < depth and len(rankings[query_id]) >= passage_depth
        }
        passage_depth *= 4
    return ranked_ids, hits


def evaluate_rankings(
    ranked_ids: RankedIds, external: ExternalQrels, k: int, gain: Gain = "exponential"
) -> RankingMetrics:
    """Return ndcg@k, recall@k, mrr@k and judged@k against the file's grades."""
    rankings = {query_id: [name for name, _score in ranking] for query_id, ranking in ranked_ids.items()}
    return ranking_metrics.evaluate(
        rankings,
        external.grades,
        ndcg_at=[k],
        recall_at=[k],
        mrr_at=[k],
        judged_at=[k],
        gain=gain,
        relevant_from=PUBLIC_RELEVANT_FROM,
    )


def evaluate_answers(
    release: Release, external: ExternalQrels, hits: offline_run.Rankings, limit: int | None, on_progress: Progress
) -> PerQuery:
    """Return query_id → em, f1 and rougeL of the answer, for the queries with a reference; a random `limit` of them."""
    ids = sorted(external.references, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())[:limit]
    texts = {query_id: external.texts[query_id] for query_id in ids}
    answers = offline_run.generate_answers(release, texts, hits, on_progress)
    return offline_run.measure_answers(answers, external.references)


def count_trained_on(project: Project, external: ExternalQrels) -> int:
    """Return how many of the file's queries are in the training split of one of the project's datasets."""
    training = DatasetQuery.objects.filter(dataset__project=project, split=Split.TRAIN)
    return sum(
        training.filter(query__external_id__in=batch).values("query").distinct().count()
        for batch in _batches(list(external.texts))
    )


def write_run(path: Path, ranked_ids: RankedIds, tag: str) -> None:
    """Write a TREC run. Raises BadInput for an id with white space, which the format cannot hold."""
    lines = []
    for query_id, ranking in ranked_ids.items():
        for place, (name, score) in enumerate(ranking, start=1):
            for field in (query_id, name):
                if len(field.split()) != 1:
                    raise BadInput(path, None, _("a TREC run cannot hold the id “%(id)s”") % {"id": field})
            lines.append(f"{query_id} Q0 {name} {place} {score:.6f} {tag}\n")
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise BadInput(path, None, error.strerror or str(error)) from error


def _judges_passages(project: Project, qrels: Path, line_of_judged: Mapping[str, int]) -> bool:
    """Whether the ids are passages'. Raises BadInput at the first id that is neither a document nor a passage."""
    documents = _active_ids(Document.objects.filter(corpus=project.corpus), line_of_judged)
    if len(documents) == len(line_of_judged):
        return False
    passages = _active_ids(Passage.objects.filter(corpus=project.corpus), line_of_judged)
    if len(passages) == len(line_of_judged):
        return True
    known = max(documents, passages, key=len)
    name = min(line_of_judged.keys() - known, key=line_of_judged.__getitem__)
    raise BadInput(qrels, line_of_judged[name], _("“%(id)s” is not in the corpus") % {"id": name})


def _active_ids(rows, ids: Iterable[str]) -> set[str]:  # type: ignore[no-untyped-def]
    """Return those of the ids that an active row of the queryset has."""
    return {
        name
        for batch in _batches(list(ids))
        for name in rows.active().filter(external_id__in=batch).values_list("external_id", flat=True)
    }


def _texts(project: Project, qrels: Path, queries: Path | None, line_of_query: Mapping[str, int]) -> dict[str, str]:
    texts = dict(_read_texts(queries, line_of_query)) if queries else {}
    for batch in _batches([query_id for query_id in line_of_query if query_id not in texts]):
        texts |= project.queries.filter(external_id__in=batch).values_list("external_id", "text")
    beside_qrels = qrels.resolve().parent.parent / "queries.jsonl"
    if len(texts) < len(line_of_query) and beside_qrels.is_file():
        texts = dict(_read_texts(beside_qrels, line_of_query)) | texts
    missing = line_of_query.keys() - texts
    if missing:
        name = min(missing, key=line_of_query.__getitem__)
        raise BadInput(qrels, line_of_query[name], _("no query “%(id)s” is known; give --queries") % {"id": name})
    return {query_id: texts[query_id] for query_id in line_of_query}


def _read_texts(path: Path, query_ids: Container[str]) -> Iterator[tuple[str, str]]:
    for line, row in read_jsonl(path, required=["_id", "text"]):
        query_id = parse_text(path, line, row, "_id")
        if query_id in query_ids:
            yield query_id, parse_text(path, line, row, "text")


def _references(path: Path, texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return query_id → answers, of the queries that are evaluated."""
    references: dict[str, list[str]] = {}
    for line, row in read_jsonl(path, required=["_id", "answers"]):
        answers = row["answers"]
        if not isinstance(answers, list) or not all(isinstance(text, str) for text in answers):
            raise BadInput(path, line, _("“answers” is not a list of texts"))
        query_id = parse_text(path, line, row, "_id")
        if query_id in texts and answers:
            references[query_id] = answers
    return references


def _external_ids(rankings: offline_run.Rankings, of_passages: bool) -> dict[int, str]:
    """Return passage_id → the id that the files use."""
    ids = sorted({hit.passage_id for hits in rankings.values() for hit in hits})
    column = "external_id" if of_passages else "document__external_id"
    return {
        passage_id: name
        for batch in _batches(ids)
        for passage_id, name in Passage.objects.filter(pk__in=batch).values_list("pk", column)
    }


def _batches(items: Sequence[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
