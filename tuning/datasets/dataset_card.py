"""The card of a dataset: what it holds, who made it, what became of it, as Markdown with the usual front matter."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.db.models import Count

from curation.models import Judgement, Project, Release
from tuning.datasets import lineage
from tuning.models import Dataset, Run, Split

COUNTED = ("queries", "grades", "answers", "unanswerable")


def card(dataset: Dataset) -> str:
    """The card in English, whatever the reader's language: it travels with the files."""
    return "\n".join([*_front(dataset.project), *_body(dataset)]) + "\n"


def people(dataset: Dataset) -> list[tuple[str, int]]:
    """Who gave the judgements behind the dataset and how many each, most first, ties by name."""
    behind = Judgement.objects.filter(in_datasets__dataset=dataset)
    counted = behind.values("curator__username").annotate(count=Count("pk", distinct=True))
    return [(row["curator__username"], row["count"]) for row in counted.order_by("-count", "curator__username")]


def reviewers(dataset: Dataset) -> list[str]:
    """Who settled what people disagreed about, by name."""
    names = dataset.queries.exclude(review__reviewer=None).values_list("review__reviewer__username", flat=True)
    return sorted(set(names))


def runs(dataset: Dataset) -> list[Run]:
    """What was trained on the dataset, oldest first."""
    found = dataset.runs.select_related("cycle__challenger", "encoder", "generator", "reranker").order_by("pk")
    return list(found)


def releases(dataset: Dataset) -> list[Release]:
    """The releases with weights that were trained on the dataset, by number."""
    done = list(dataset.runs.done())
    return list(lineage.with_weights_of(done, dataset.project_id))


def _front(project: Project) -> Iterable[str]:
    """Hugging Face's front matter: which files hold what, in which language, under which licence."""
    yield "---"
    yield f"pretty_name: {json.dumps(project.name, ensure_ascii=False)}"
    yield f"language: {'zh' if project.language.startswith('zh') else project.language}"
    if project.corpus.licence:
        yield f"license: {json.dumps(project.corpus.licence, ensure_ascii=False)}"
    yield "configs:"
    for name in ("rows", "passages"):
        yield f"- config_name: {name}"
        yield f"  data_files: {name}.jsonl"
    yield "---"


def _body(dataset: Dataset) -> Iterable[str]:
    project = dataset.project
    yield f"# {project.name}, dataset {dataset.number}"
    yield ""
    yield "Settled judgements and answers, one query a line in `rows.jsonl`; the judged passages in `passages.jsonl`."
    yield "A passage that is no key of `grades` was not judged, which is not the same as grade 0. Queries that ask the"
    yield "same share a cluster, and with it a split; the test split does not depend on the seed."
    yield ""
    yield from _table(_facts(dataset))
    yield from ("", "## Splits", "")
    yield f"| split | {' | '.join(COUNTED)} |"
    yield f"|---|{'---|' * len(COUNTED)}"
    for split in Split.values:  # in this order: a database may keep the counts in another
        counts = dataset.counts.get(split, {})
        yield f"| {split} | {' | '.join(str(counts.get(name, 0)) for name in COUNTED)} |"
    yield from ("", "## People", "")
    yield from _table([(_cell(name), f"{count} judgements") for name, count in people(dataset)])
    settled_by = ", ".join(reviewers(dataset))
    yield from ("", f"Settled by reviewers where people disagreed: {_cell(settled_by) or 'nobody'}.")
    yield from ("", "## Grades", "")
    yield from _table([(str(row["grade"]), _cell(f"{row['label']}. {row['description']}")) for row in project.grades])
    yield from ("", "## What it trained", "")
    trained = [f"- run {run.pk} ({run.component}, seed {run.seed}, {run.state}){_gave(run)}" for run in runs(dataset)]
    yield from trained or ["Nothing yet."]
    served = [release.number for release in releases(dataset)]
    yield from ("", f"Releases with these weights: {', '.join(map(str, served)) or 'none'}.")


def _gave(run: Run) -> str:
    gave = run.encoder or run.generator or run.reranker
    return f": {gave}" if gave else ""


def _facts(dataset: Dataset) -> list[tuple[str, str]]:
    project = dataset.project
    return [
        ("sha256", f"`{dataset.sha256}`"),
        ("made", f"{dataset.created_at:%Y-%m-%d %H:%M} UTC"),
        ("seed", str(dataset.seed)),
        ("corpus", _cell(project.corpus.name)),
        ("licence of the corpus", _cell(project.corpus.licence) or "not stated"),
        ("people who judge each query", str(project.overlap)),
        ("grades so far apart go to a reviewer", str(project.review_gap)),
    ]


def _table(rows: list[tuple[str, str]]) -> Iterable[str]:
    yield "| | |"
    yield "|---|---|"
    for name, value in rows:
        yield f"| {name} | {value} |"


def _cell(text: str) -> str:
    """Text that stays inside its cell."""
    return " ".join(text.split()).replace("|", "\\|")
