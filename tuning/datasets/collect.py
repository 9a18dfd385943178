"""Settled work → a frozen dataset: one folder, one hash, and a row for every query that leads back to its judgements.

The folder holds everything a training needs, so a run can be repeated on another machine with these files alone.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Max, Prefetch

from common import artifacts
from common.messages import StrOrMessage, message
from curation.engine.statistics import relevance
from curation.models import Answer, Judgement, Project, Query, Review, SettledGrade
from curation.queries import query_vectors
from retrieval.engine.encoders.bi_encoder import TextEncoder
from retrieval.index import index_builds
from retrieval.models import Encoder, Passage
from tuning.engine.data import clusters
from tuning.engine.data.examples import (
    DEV,
    TEST,
    TRAIN,
    JudgedQuery,
    PassageText,
    read_queries,
    write_passages,
    write_queries,
)
from tuning.models import Dataset, DatasetQuery

LEAST_QUERIES = 8
ROWS, PASSAGES, CARD = "rows.jsonl", "passages.jsonl", "README.md"
_BATCH = 2000

Progress = Callable[[int, int, StrOrMessage], None]


class TooLittle(Exception):
    """Not enough settled work to learn from and to measure on."""


def collect(project: Project, seed: int = 0, on_progress: Progress | None = None) -> Dataset:
    """The settled work of the project as a dataset; the row there already is when nothing has changed.

    Raises TooLittle with fewer than LEAST_QUERIES queries that teach something, and NothingServes for a
    project without a release: its first one tells which queries are paraphrases.
    """
    settled = list(_settled(project))
    rows = [row for query in settled if (row := _row(query)) is not None]
    if len(rows) < LEAST_QUERIES:
        raise TooLittle(message("too_little", n=len(rows), least=LEAST_QUERIES))
    held_out = {str(query.pk) for query in settled if query.is_evaluation}
    rows = _split(rows, _vectors(project, rows, on_progress), held_out, seed)
    if not any(row.split == TRAIN for row in rows):
        raise TooLittle(message("too_alike"))
    return _freeze(project, seed, rows, settled)


def folder(dataset: Dataset) -> Path:
    """Where the dataset's files are."""
    return Path(settings.DATA_DIR) / dataset.path


def rows(dataset: Dataset, split: str | None = None) -> list[JudgedQuery]:
    """The dataset's queries, of one split or of all. Raises Damaged when its files are not what was frozen."""
    artifacts.verify(folder(dataset), dataset.sha256)
    return read_queries(folder(dataset) / ROWS, split)


def settled_rows(project: Project) -> Iterator[JudgedQuery]:
    """What people decided, oldest query first, as it stands now: without clusters and splits."""
    return (row for query in _settled(project) if (row := _row(query)) is not None)


def _settled(project: Project) -> Iterable[Query]:
    """Settled queries, oldest first, with everything a row is made of."""
    grades = SettledGrade.objects.order_by("passage_id").select_related("passage").defer("passage__text")
    reviews = Review.objects.current().prefetch_related(Prefetch("grades", grades, to_attr="given"))
    answers = Answer.objects.select_related("draft").order_by("pk")
    return (
        project.queries.settled()
        .order_by("pk")
        .prefetch_related(Prefetch("reviews", reviews, to_attr="current"), Prefetch("answers", answers))
        .iterator(chunk_size=_BATCH)
    )


def _row(query: Query) -> JudgedQuery | None:
    """What people decided about the query; None when it teaches nothing.

    Grades of retired passages are left out: the text they were given for is no longer searched. An answer goes
    with the passages it rested on; see `_has_expired`.
    """
    review = next(iter(query.current), None)  # type: ignore[attr-defined]
    if review is None:
        return None
    kept = [settled for settled in review.given if settled.passage.retired_at is None]
    lapsed = [settled for settled in review.given if settled.passage.retired_at is not None]
    is_open = _has_expired(kept, lapsed)
    answer, is_unanswerable = ("", False) if is_open else (review.answer, review.is_unanswerable)
    if not (kept or answer or is_unanswerable):
        return None
    answers = list(query.answers.all())
    cited = {str(entry["passage"]) for answer in answers for entry in answer.citations if entry.get("passage")}
    drafts = [answer.draft.text for answer in answers if answer.draft is not None]
    return JudgedQuery(
        query_id=str(query.pk),
        text=query.text,
        grades={str(settled.passage_id): settled.grade for settled in kept},
        reliability=sum(settled.reliability for settled in kept) / len(kept) if kept else 1.0,
        answer=answer,
        is_unanswerable=is_unanswerable,
        cited=tuple(sorted(cited & {str(settled.passage_id) for settled in kept}, key=int)),
        draft=drafts[0] if drafts else "",
    )


def _has_expired(kept: Sequence[SettledGrade], lapsed: Sequence[SettledGrade]) -> bool:
    """Whether the answer, or that there is none, is no longer founded on a text that is searched.

    So it is when every relevant passage has lapsed, or, where none was relevant, every passage. What was settled
    without any grade, as an imported answer, rests on no text and stands.
    """
    if relevance.has_relevant(settled.grade for settled in kept):
        return False
    if relevance.has_relevant(settled.grade for settled in lapsed):
        return True
    return bool(lapsed) and not kept


def _vectors(project: Project, rows: Sequence[JudgedQuery], on_progress: Progress | None) -> clusters.Floats:
    """Query vectors of the encoder that the project began with.

    Not the serving one's: tuning draws queries of one passage together, and clusters that grew with
    every promotion would move queries from split to split.
    """
    encoder = open_encoder(query_vectors.first_encoder(project))
    parts = []
    for start in range(0, len(rows), _BATCH // 8):
        parts.append(encoder.encode_queries([row.text for row in rows[start : start + _BATCH // 8]]))
        if on_progress:
            on_progress(min(start + _BATCH // 8, len(rows)), len(rows), message("comparing_queries"))
    return np.concatenate(parts)


def open_encoder(encoder: Encoder) -> TextEncoder:
    """The row's weights, loaded."""
    return TextEncoder(*index_builds.weights(encoder), encoder.query_prefix, encoder.passage_prefix)


def _split(rows: Sequence[JudgedQuery], vectors: clusters.Floats, held_out: set[str], seed: int) -> list[JudgedQuery]:
    """The rows with cluster and split; a cluster with a query of the evaluation sample is test as a whole."""
    first = clusters.group([row.text for row in rows], vectors)
    names = [clusters.name_of(rows[index].text) for index in first]
    locked = {name for row, name in zip(rows, names, strict=True) if row.query_id in held_out}
    split_of = clusters.split(names, locked, seed)
    return [replace(row, cluster=name, split=split_of[name]) for row, name in zip(rows, names, strict=True)]


def _freeze(project: Project, seed: int, rows: Sequence[JudgedQuery], settled: Sequence[Query]) -> Dataset:
    counts = _counts(rows)
    number = (project.datasets.aggregate(last=Max("number"))["last"] or 0) + 1
    path = Path("datasets") / f"{project.slug}-{number}"
    target = Path(settings.DATA_DIR) / path
    if target.exists():  # a worker was killed between the folder and its row
        shutil.rmtree(target)
    passages = _passages(rows)
    digest = artifacts.write_folder(
        target, partial(_fill, project, rows, passages, counts), {"kind": "dataset", "seed": seed, "counts": counts}
    )
    known = project.datasets.filter(sha256=digest).first()
    if known is not None and folder(known).exists():
        shutil.rmtree(target)
        return known
    with transaction.atomic():
        dataset = Dataset.objects.create(
            project=project, number=number, seed=seed, path=str(path), sha256=digest, counts=counts
        )
        _link(dataset, rows, settled)
    return dataset


def _passages(rows: Sequence[JudgedQuery]) -> list[PassageText]:
    """Every judged passage once, by id: with these the dataset reads without the database."""
    wanted = sorted({int(passage_id) for row in rows for passage_id in row.grades})
    found: list[PassageText] = []
    for start in range(0, len(wanted), _BATCH):
        some = Passage.objects.filter(pk__in=wanted[start : start + _BATCH]).order_by("pk")
        found += [PassageText(str(passage.pk), passage.full_text) for passage in some]
    return found


def _counts(rows: Sequence[JudgedQuery]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {name: Counter() for name in (TRAIN, DEV, TEST)}
    for row in rows:
        counts[row.split] += Counter(
            queries=1, grades=len(row.grades), answers=bool(row.answer), unanswerable=row.is_unanswerable
        )
    names = ("queries", "grades", "answers", "unanswerable")
    return {split: {name: counts[split][name] for name in names} for split in counts}


def _fill(
    project: Project,
    rows: Sequence[JudgedQuery],
    passages: Sequence[PassageText],
    counts: dict[str, dict[str, int]],
    target: Path,
) -> None:
    write_queries(target / ROWS, rows)
    write_passages(target / PASSAGES, passages)
    lines = [f"| {split} | " + " | ".join(str(n) for n in found.values()) + " |" for split, found in counts.items()]
    (target / CARD).write_text(
        "---\nconfigs:\n- config_name: rows\n  data_files: rows.jsonl\n"
        "- config_name: passages\n  data_files: passages.jsonl\n---\n"
        f"# {project.name}\n\nSettled judgements and answers, one query a line in `{ROWS}`; the judged passages in"
        f" `{PASSAGES}`. A passage that is no key of `grades` was not judged, which is not the same as grade 0.\n"
        "Queries that ask the same share a `cluster`, and with it a split; the test split never depends on the"
        f" seed.\n\n| split | {' | '.join(counts[TRAIN])} |\n|---|{'---|' * len(counts[TRAIN])}\n"
        + "\n".join(lines)
        + "\n",
        encoding="utf-8",
    )


def _link(dataset: Dataset, rows: Sequence[JudgedQuery], settled: Sequence[Query]) -> None:
    """A row for every query, joined to the judgements it came from."""
    review_of = {str(query.pk): query.current[0].pk for query in settled if query.current}  # type: ignore[attr-defined]
    links = DatasetQuery.objects.bulk_create(
        [
            DatasetQuery(
                dataset=dataset,
                query_id=int(row.query_id),
                review_id=review_of[row.query_id],
                split=row.split,
                cluster=row.cluster,
            )
            for row in rows
        ],
        batch_size=_BATCH,
    )
    judgements: dict[int, list[int]] = defaultdict(list)
    for start in range(0, len(links), _BATCH):
        some = [link.query_id for link in links[start : start + _BATCH]]
        behind = Judgement.objects.settled().filter(query_id__in=some).values_list("query_id", "pk")
        for query_id, judgement_id in behind.iterator(chunk_size=_BATCH):
            judgements[query_id].append(judgement_id)
    through = DatasetQuery.judgements.through
    through.objects.bulk_create(
        [
            through(datasetquery_id=link.pk, judgement_id=judgement_id)
            for link in links
            for judgement_id in judgements[link.query_id]
        ],
        batch_size=_BATCH,
    )
