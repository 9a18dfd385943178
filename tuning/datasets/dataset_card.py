"""Dataset card: content, annotators and use of a dataset, as Markdown with Hugging Face's front matter."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.db.models import Count

from curation.models import Judgement, Project, Release
from tuning.datasets import lineage
from tuning.models import Dataset, Run, Split

COUNT_NAMES = ("queries", "grades", "answers", "unanswerable")


def render_card(dataset: Dataset) -> str:
    """Return the card as Markdown. It is in English for every reader, because it is passed on with the files."""
    return "\n".join([*_front_matter(dataset.project), *_body(dataset)]) + "\n"


def annotators(dataset: Dataset) -> list[tuple[str, int]]:
    """Return the annotators of the dataset's judgements with their counts, highest count first, ties by name."""
    judgements = Judgement.objects.filter(in_datasets__dataset=dataset)
    counts = judgements.values("curator__username").annotate(count=Count("pk", distinct=True))
    return [(row["curator__username"], row["count"]) for row in counts.order_by("-count", "curator__username")]


def reviewers(dataset: Dataset) -> list[str]:
    """Return the reviewers who resolved disagreements in the dataset, by name."""
    names = dataset.queries.exclude(review__reviewer=None).values_list("review__reviewer__username", flat=True)
    return sorted(set(names))


def runs(dataset: Dataset) -> list[Run]:
    """Return the runs that were trained on the dataset, oldest first."""
    rows = dataset.runs.select_related("cycle__challenger", "encoder", "generator", "reranker").order_by("pk")
    return list(rows)


def releases(dataset: Dataset) -> list[Release]:
    """Return the releases with weights that were trained on the dataset, by number."""
    done = list(dataset.runs.done())
    return list(lineage.releases_with_weights_of(done, dataset.project_id))


def _front_matter(project: Project) -> Iterable[str]:
    """Return Hugging Face's front matter: the files, the language and the licence."""
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
    yield "Settled judgements and answers: one query per line in `rows.jsonl`, the judged passages in `passages.jsonl`."
    yield "A passage that is no key of `grades` is unjudged, which is not the same as grade 0. Paraphrases share a"
    yield "cluster, and a cluster is in one split as a whole. The test split does not depend on the seed."
    yield ""
    yield from _table(_facts(dataset))
    yield from ("", "## Splits", "")
    yield f"| split | {' | '.join(COUNT_NAMES)} |"
    yield f"|---|{'---|' * len(COUNT_NAMES)}"
    for split in Split.values:  # in this order: a database may keep the counts in another
        counts = dataset.counts.get(split, {})
        yield f"| {split} | {' | '.join(str(counts.get(name, 0)) for name in COUNT_NAMES)} |"
    yield from ("", "## Annotators", "")
    yield from _table([(_cell(name), f"{count} judgements") for name, count in annotators(dataset)])
    names = ", ".join(reviewers(dataset))
    yield from ("", f"Disagreements were resolved by: {_cell(names) or 'nobody'}.")
    yield from ("", "## Grades", "")
    yield from _table([(str(row["grade"]), _cell(f"{row['label']}. {row['description']}")) for row in project.grades])
    yield from ("", "## Used in", "")
    lines = [f"- run {run.pk} ({run.component}, seed {run.seed}, {run.state}){_result(run)}" for run in runs(dataset)]
    yield from lines or ["Nothing yet."]
    numbers = [release.number for release in releases(dataset)]
    yield from ("", f"Releases with these weights: {', '.join(map(str, numbers)) or 'none'}.")


def _result(run: Run) -> str:
    result = run.encoder or run.generator or run.reranker
    return f": {result}" if result else ""


def _facts(dataset: Dataset) -> list[tuple[str, str]]:
    project = dataset.project
    return [
        ("sha256", f"`{dataset.sha256}`"),
        ("created", f"{dataset.created_at:%Y-%m-%d %H:%M} UTC"),
        ("seed", str(dataset.seed)),
        ("corpus", _cell(project.corpus.name)),
        ("licence of the corpus", _cell(project.corpus.licence) or "not stated"),
        ("annotators per query", str(project.overlap)),
        ("difference of grades that needs a reviewer", str(project.review_gap)),
    ]


def _table(rows: list[tuple[str, str]]) -> Iterable[str]:
    yield "| | |"
    yield "|---|---|"
    for name, value in rows:
        yield f"| {name} | {value} |"


def _cell(text: str) -> str:
    """Return the text as one line without cell borders."""
    return " ".join(text.split()).replace("|", "\\|")
