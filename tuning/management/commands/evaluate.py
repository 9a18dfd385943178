"""Evaluate a release on external qrels. It changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import CommandParser

from curation.core.project_command import ProjectCommand
from curation.engine.generation.api_generator import ApiError
from curation.engine.generation.gguf import NoGenerator
from curation.models import Project, Release
from curation.releases import lifecycle
from retrieval.search import search
from tuning.engine.metrics.significance import bootstrap_interval, compare
from tuning.evaluation import external
from tuning.evaluation.offline_run import PerQuery


class Command(ProjectCommand):
    help = "Evaluate the rankings of a release, and with --answers its answers, against a qrels file."
    errors = (lifecycle.NoLiveRelease, search.CannotSearch, ApiError, NoGenerator)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--qrels", required=True, type=Path, help="BEIR or TREC.")
        parser.add_argument("--queries", type=Path, help="JSONL with _id and text, for queries the project lacks.")
        parser.add_argument("--answers", type=Path, help="JSONL with _id and answers: measures EM and F1 too.")
        parser.add_argument("--release", default="serving", metavar="base|serving|NUMBER")
        parser.add_argument("--against", metavar="base|serving|NUMBER", help="Also the difference from this release.")
        parser.add_argument("--mode", choices=["dense", "lexical", "hybrid"], default="hybrid")
        parser.add_argument("-k", type=int, default=10)
        parser.add_argument("--gain", choices=["exponential", "linear"], default="exponential")
        parser.add_argument("--limit", type=int, help="Answer at most this many queries, chosen at random.")
        parser.add_argument("--run-out", type=Path, metavar="FILE", help="Write the rankings as a TREC run.")

    def run(self, **options: Any) -> dict[str, Any]:
        if options["k"] < 1 or (options["limit"] is not None and options["limit"] < 1):
            self.usage("-k and --limit are 1 or more")
        project = self.project(options["project"])
        qrels = external.read_external_qrels(project, options["qrels"], options["queries"], options["answers"])
        release = self._release(project, options["release"])
        per_query, without_relevant = self._evaluate(release, qrels, options, options["run_out"])
        result = _summary(release, per_query, options["k"], without_relevant)
        result["trained_on"] = external.count_trained_on(project, qrels)
        if options["against"]:
            other = self._release(project, options["against"])
            result["against"] = _differences(other, self._evaluate(other, qrels, options, None)[0], per_query)
        self._report_result(result, options["k"])
        return result | {"per_query": per_query}

    def _release(self, project: Project, name: str) -> Release:
        """Return the release called `base`, `serving`, or by its number."""
        if name == "serving":
            return lifecycle.live_release(project)
        number = 1 if name == "base" else int(name) if name.isdecimal() else 0  # there is no release 0
        release = project.releases.filter(number=number).select_related("build", "generator").first()
        if release is None:
            self.usage(f"{project.slug} has no release {name}")
        return release

    def _evaluate(
        self, release: Release, qrels: external.ExternalQrels, options: dict[str, Any], run_out: Path | None
    ) -> tuple[PerQuery, int]:
        """Return query_id → measure → value, and the number of queries without a relevant passage."""
        depth = max(options["k"], 100) if run_out else options["k"]
        ranked_ids, hits = external.rank_documents(release, qrels, depth, options["mode"], self.progress)
        if run_out:
            external.write_run(run_out, ranked_ids, f"{release.project.slug}-{release.number}")
        metrics = external.evaluate_rankings(ranked_ids, qrels, options["k"], options["gain"])
        per_query: PerQuery = {query_id: dict(values) for query_id, values in metrics.per_query.items()}
        if qrels.references:
            answers = external.evaluate_answers(release, qrels, hits, options["limit"], self.progress)
            for query_id, values in answers.items():
                per_query.setdefault(query_id, {}).update(values)
        return per_query, len(metrics.without_relevant)

    def _report_result(self, result: dict[str, Any], k: int) -> None:
        low, high = result[f"ndcg@{k}_interval"] or (float("nan"), float("nan"))
        self.report(f"release {result['release']}, {result['queries']} queries")
        for name in (f"ndcg@{k}", f"recall@{k}", f"mrr@{k}", f"judged@{k}", "em", "f1"):
            if result.get(name) is not None:
                interval = f"  95 % interval {low:.4f} to {high:.4f}" if name == f"ndcg@{k}" else ""
                self.report(f"  {name:<10} {result[name]:.4f}{interval}")
        for name, figure in result.get("against", {}).get("measures", {}).items():
            self.report(
                f"  {name:<10} {figure['difference']:+.4f} against release {result['against']['release']},"
                f" 95 % interval {figure['low']:+.4f} to {figure['high']:+.4f}, p = {figure['p']:.4f}"
            )
        if result["without_relevant"]:
            self.report(f"  {result['without_relevant']} queries have no relevant passage and are not in the means")
        if result["trained_on"]:
            self.report(f"  {result['trained_on']} of these queries were trained on")


def _summary(release: Release, per_query: PerQuery, k: int, without_relevant: int) -> dict[str, Any]:
    names = [f"ndcg@{k}", f"recall@{k}", f"mrr@{k}", f"judged@{k}", "em", "f1"]
    columns = {name: _column(per_query, name) for name in names}
    ndcg = np.array(columns[f"ndcg@{k}"])
    return {
        "release": release.number,
        "queries": len(per_query) + without_relevant,
        **{name: float(np.mean(values)) if values else None for name, values in columns.items()},
        f"ndcg@{k}_interval": list(bootstrap_interval(ndcg)) if len(ndcg) else None,
        "answered": len(columns["f1"]),
        "without_relevant": without_relevant,
    }


def _differences(other: Release, before: PerQuery, after: PerQuery) -> dict[str, Any]:
    """Return the difference from the other release for each measure, over the queries that both have."""
    figures = {}
    for name in dict.fromkeys(name for values in after.values() for name in values):
        shared = [query_id for query_id in after if name in after[query_id] and name in before.get(query_id, {})]
        champion = {query_id: before[query_id][name] for query_id in shared}
        challenger = {query_id: after[query_id][name] for query_id in shared}
        if shared:
            figures[name] = asdict(compare(champion, challenger))
    return {"release": other.number, "measures": figures}


def _column(per_query: PerQuery, name: str) -> list[float]:
    return [values[name] for values in per_query.values() if name in values]
