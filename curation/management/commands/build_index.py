"""Embed a project's corpus and index it; the first build of a project goes into service."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from common.jobs import JobState, worker_name
from curation.core.errors import CurationError
from curation.core.project_command import ProjectCommand
from curation.models import Project, Release
from curation.releases import lifecycle
from retrieval.engine.encoders.bi_encoder import NoEncoder
from retrieval.index import index_builds
from retrieval.models import Encoder, IndexBuild

FOREIGN_FROM = 0.1  # of the corpus's tokens unknown to the encoder, from which it is said


class Command(ProjectCommand):
    help = "Embed and index the project's passages. The first build serves at once, a later one with --serve."
    errors = (index_builds.CannotBuild, index_builds.ClaimLost, CurationError)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--encoder", metavar="NAME_OR_PATH", help="Default: the one in service, or else what ENCODER names."
        )
        parser.add_argument("--serve", action="store_true", help="Put the new build in service without measuring it.")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if not project.corpus.passages.active().exists():
            self.usage(f"{project.slug} has no passages yet: import some first")
        build = index_builds.request(project.corpus, self._encoder(project, options["encoder"]))
        build = index_builds.build(build, worker=worker_name(), on_progress=self.progress)
        if build.state != JobState.DONE:
            raise index_builds.CannotBuild(f"{build} was taken up by another worker, see its row")
        self.report(f"{build}: {build.passage_count:,} passages, {build.encoder.dim} dimensions, {build.seconds:.1f} s")
        unknown = index_builds.unknown_share(build)
        if unknown >= FOREIGN_FROM:
            self.report(
                f"{build.encoder} does not know {unknown:.0%} of the words: search leans on the words themselves; "
                "an encoder of this language (--encoder, or ENCODER) would find by meaning too"
            )
        self._serve(project, build, options["serve"])
        return {
            "build": build.number,
            "passages": build.passage_count,
            "dim": build.encoder.dim,
            "seconds": round(build.seconds, 2),
            "unknown_share": unknown,
        }

    def _encoder(self, project: Project, name: str | None) -> Encoder:
        serves = project.releases.serving().select_related("build__encoder").first()
        try:
            if name:
                return index_builds.encoder_from(name)
            return serves.build.encoder if serves else index_builds.encoder_from_settings()
        except NoEncoder as error:
            self.usage(str(error))

    def _serve(self, project: Project, build: IndexBuild, is_wanted: bool) -> None:
        serves: Release | None = project.releases.serving().select_related("build").first()
        if serves is None:
            self.report(f"release {lifecycle.make_base(project, build).number} serves it")
        elif is_wanted:
            release = lifecycle.switch(lifecycle.next_release(project, build=build))
            self.report(f"release {release.number} serves it; `rollback` goes back to release {serves.number}")
        else:
            self.report(
                f"release {serves.number} goes on with {serves.build}; `build_index --serve` would put a new "
                "build in service, `loop` measures before it does"
            )
