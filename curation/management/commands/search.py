"""Search a project's passages."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from curation.core.project_command import ProjectCommand
from curation.models import Project
from curation.releases import retrieve
from retrieval.models import IndexBuild, Passage
from retrieval.search import search
from retrieval.search.results import Hit


class Command(ProjectCommand):
    help = "Search with the live release, or with the newest build while no release is live."
    errors = (search.CannotSearch,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("text", metavar="TEXT")
        super().add_arguments(parser)
        parser.add_argument("-k", type=int, default=10, help="How many passages.")
        parser.add_argument("--mode", choices=search.MODES, default="hybrid")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if options["k"] < 1:
            self.usage("-k is 1 or more")
        build, hits = _search(project, options["text"], options["k"], options["mode"])
        results = _results(hits)
        for result in results:
            self.report(
                f"{result['rank']:>3}  {result['score']:.4f}  {result['passage']}\n     {_excerpt(result['text'])}"
            )
        return {"build": build.number, "results": results}


def _search(project: Project, text: str, k: int, mode: str) -> tuple[IndexBuild, list[Hit]]:
    """Return the build and its hits: of the live release, or of the newest build without one."""
    release = project.releases.live().select_related("reranker", "build__corpus", "build__encoder").first()
    if release is not None:
        return release.build, retrieve.search_many(release, [text], k, mode)[0]
    builds = IndexBuild.objects.searchable().select_related("corpus", "encoder")
    newest = builds.filter(corpus=project.corpus).order_by("-number").first()
    if newest is None:
        raise search.CannotSearch(f"{project.slug} has no index build yet: run build_index")
    return newest, search.search(newest, text, k, mode)


def _results(hits: list[Hit]) -> list[dict[str, Any]]:
    passages = Passage.objects.select_related("document").in_bulk([hit.passage_id for hit in hits])
    return [
        {
            "rank": hit.rank,
            "passage": passages[hit.passage_id].external_id,
            "document": passages[hit.passage_id].document.external_id,
            "score": round(hit.score, 6),
            "text": passages[hit.passage_id].full_text,
        }
        for hit in hits
        if hit.passage_id in passages
    ]


def _excerpt(text: str) -> str:
    """Return the beginning of a text on one line."""
    words = " ".join(text.split())
    return words if len(words) <= 110 else f"{words[:109]}…"
