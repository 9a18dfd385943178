"""Build a dataset from settled work: one folder, one hash, and a row for each query that leads to its judgements.

The folder holds everything that a training needs, so a run can be repeated on another machine with these files alone.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Prefetch

from common import artifacts
from common.messages import StrOrMessage, message
from curation.engine.statistics import relevance
from curation.models import Answer, Judgement, Project, Query, Review, SettledGrade
from retrieval.models import Passage
from tuning.datasets.split import split_rows
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

MIN_QUERIES = 8
ROWS, PASSAGES, CARD = "rows.jsonl", "passages.jsonl", "README.md"
_BATCH = 2000

Progress = Callable[[int, int, StrOrMessage], None]


class NotEnoughData(Exception):
    """There is not enough settled work to train and to evaluate on."""


def build_dataset(project: Project, seed: int = 0, on_progress: Progress | None = None) -> Dataset:
    """Build a dataset from the settled work of the project; return the existing one when nothing has changed.

    Raises NotEnoughData with fewer than MIN_QUERIES queries that give a row, and NoLiveRelease for a project without
    a release: the encoder of its first release finds the paraphrases.
    """
    queries = list(_settled_queries(project))
    rows = [row for query in queries if (row := _judged_query(query)) is not None]
    if len(rows) < MIN_QUERIES:
        raise NotEnoughData(message("too_little", n=len(rows), least=MIN_QUERIES))
    held_out = {str(query.pk) for query in queries if query.is_evaluation}
    rows = split_rows(project, rows, held_out, seed, on_progress)
    if not any(row.split == TRAIN for row in rows):
        raise NotEnoughData(message("too_alike"))
    return _freeze(project, seed, rows, queries)


def dataset_folder(dataset: Dataset) -> Path:
    """Return the folder of the dataset's files."""
    return Path(settings.DATA_DIR) / dataset.path


def read_rows(dataset: Dataset, split: str | None = None) -> list[JudgedQuery]:
    """Read the dataset's rows, of one split or of all. Raises Damaged when the files have changed."""
    artifacts.verify(dataset_folder(dataset), dataset.sha256)
    return read_queries(dataset_folder(dataset) / ROWS, split)


def settled_rows(project: Project) -> Iterator[JudgedQuery]:
    """Return the settled work of the project as it is now, oldest query first, without clusters and splits."""
    return (row for query in _settled_queries(project) if (row := _judged_query(query)) is not None)


def _settled_queries(project: Project) -> Iterable[Query]:
    """Return the settled queries, oldest first, with all that a row needs."""
    grades = SettledGrade.objects.order_by("passage_id").select_related("passage").defer("passage__text")
    reviews = Review.objects.current().prefetch_related(Prefetch("grades", grades, to_attr="all_grades"))
    answers = Answer.objects.select_related("draft").order_by("pk")
    return (
        project.queries.settled()
        .order_by("pk")
        .prefetch_related(Prefetch("reviews", reviews, to_attr="current"), Prefetch("answers", answers))
        .iterator(chunk_size=_BATCH)
    )


def _judged_query(query: Query) -> JudgedQuery | None:
    """Return the decisions on the query as a row; None when nothing can be learned from them.

    Grades of retired passages are left out: nobody can search the text that they were given for. A stale answer is
    left out too; see `_is_answer_stale`.
    """
    review = next(iter(query.current), None)  # type: ignore[attr-defined]
    if review is None:
        return None
    grades = [settled for settled in review.all_grades if settled.passage.retired_at is None]
    retired = [settled for settled in review.all_grades if settled.passage.retired_at is not None]
    is_stale = _is_answer_stale(grades, retired)
    answer, is_unanswerable = ("", False) if is_stale else (review.answer, review.is_unanswerable)
    if not (grades or answer or is_unanswerable):
        return None
    answers = list(query.answers.all())
    cited = {str(entry["passage"]) for answer in answers for entry in answer.citations if entry.get("passage")}
    drafts = [answer.draft.text for answer in answers if answer.draft is not None]
    return JudgedQuery(
        query_id=str(query.pk),
        text=query.text,
        grades={str(settled.passage_id): settled.grade for settled in grades},
        reliability=sum(settled.reliability for settled in grades) / len(grades) if grades else 1.0,
        answer=answer,
        is_unanswerable=is_unanswerable,
        cited=tuple(sorted(cited & {str(settled.passage_id) for settled in grades}, key=int)),
        draft=drafts[0] if drafts else "",
    )


def _is_answer_stale(grades: Sequence[SettledGrade], retired: Sequence[SettledGrade]) -> bool:
    """Whether the answer, or "no answer in corpus", is no longer supported by a text that can be searched.

    grades: those of active passages; retired: those of retired passages. The answer is stale when all relevant
    passages are retired or, where none is relevant, when all passages are. An answer without any grade, such as an
    imported one, is never stale.
    """
    if relevance.has_relevant(settled.grade for settled in grades):
        return False
    if relevance.has_relevant(settled.grade for settled in retired):
        return True
    return bool(retired) and not grades


def _freeze(project: Project, seed: int, rows: Sequence[JudgedQuery], queries: Sequence[Query]) -> Dataset:
    counts = _counts(rows)
    number = (project.datasets.aggregate(last=Max("number"))["last"] or 0) + 1
    path = Path("datasets") / f"{project.slug}-{number}"
    target = Path(settings.DATA_DIR) / path
    if target.exists():  # a worker was killed between the folder and its row
        shutil.rmtree(target)
    passages = _judged_passages(rows)
    digest = artifacts.write_folder(
        target, partial(_write, project, rows, passages, counts), {"kind": "dataset", "seed": seed, "counts": counts}
    )
    existing = project.datasets.filter(sha256=digest).first()
    if existing is not None and dataset_folder(existing).exists():
        shutil.rmtree(target)
        return existing
    with transaction.atomic():
        dataset = Dataset.objects.create(
            project=project, number=number, seed=seed, path=str(path), sha256=digest, counts=counts
        )
        _link_judgements(_create_links(dataset, rows, queries))
    return dataset


def _judged_passages(rows: Sequence[JudgedQuery]) -> list[PassageText]:
    """Return every judged passage once, by id, so that the dataset can be read without the database."""
    ids = sorted({int(passage_id) for row in rows for passage_id in row.grades})
    texts: list[PassageText] = []
    for start in range(0, len(ids), _BATCH):
        passages = Passage.objects.filter(pk__in=ids[start : start + _BATCH]).order_by("pk")
        texts += [PassageText(str(passage.pk), passage.full_text) for passage in passages]
    return texts


def _counts(rows: Sequence[JudgedQuery]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {name: Counter() for name in (TRAIN, DEV, TEST)}
    for row in rows:
        counts[row.split] += Counter(
            queries=1, grades=len(row.grades), answers=bool(row.answer), unanswerable=row.is_unanswerable
        )
    names = ("queries", "grades", "answers", "unanswerable")
    return {split: {name: counts[split][name] for name in names} for split in counts}


def _write(
    project: Project,
    rows: Sequence[JudgedQuery],
    passages: Sequence[PassageText],
    counts: dict[str, dict[str, int]],
    target: Path,
) -> None:
    """Write the files of the dataset. Their text is part of its hash: the same work must give the same bytes."""
    write_queries(target / ROWS, rows)
    write_passages(target / PASSAGES, passages)
    lines = [f"| {split} | " + " | ".join(map(str, figures.values())) + " |" for split, figures in counts.items()]
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


def _create_links(dataset: Dataset, rows: Sequence[JudgedQuery], queries: Sequence[Query]) -> list[DatasetQuery]:
    """Create a DatasetQuery for each row."""
    review_of = {str(query.pk): query.current[0].pk for query in queries if query.current}  # type: ignore[attr-defined]
    links = [
        DatasetQuery(
            dataset=dataset,
            query_id=int(row.query_id),
            review_id=review_of[row.query_id],
            split=row.split,
            cluster=row.cluster,
        )
        for row in rows
    ]
    return DatasetQuery.objects.bulk_create(links, batch_size=_BATCH)


def _link_judgements(links: Sequence[DatasetQuery]) -> None:
    """Join each DatasetQuery to the judgements of its query."""
    judgement_ids: dict[int, list[int]] = defaultdict(list)
    for start in range(0, len(links), _BATCH):
        query_ids = [link.query_id for link in links[start : start + _BATCH]]
        judgements = Judgement.objects.settled().filter(query_id__in=query_ids).values_list("query_id", "pk")
        for query_id, judgement_id in judgements.iterator(chunk_size=_BATCH):
            judgement_ids[query_id].append(judgement_id)
    through = DatasetQuery.judgements.through
    through.objects.bulk_create(
        [
            through(datasetquery_id=link.pk, judgement_id=judgement_id)
            for link in links
            for judgement_id in judgement_ids[link.query_id]
        ],
        batch_size=_BATCH,
    )
