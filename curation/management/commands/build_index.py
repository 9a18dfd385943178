"""Embed a project's corpus and build its index; the first build of a project goes live at once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from common.heartbeat import ClaimLost
from common.jobs import JobState, worker_name
from curation.core.errors import CurationError
from curation.core.project_command import ProjectCommand
from curation.models import Project, Release
from curation.releases import lifecycle
from retrieval.engine.encoders.bi_encoder import NoEncoder
from retrieval.index import encoders, index_builds, vector_store
from retrieval.models import Encoder, IndexBuild

WARN_UNKNOWN_SHARE = 0.1  # share of the corpus's tokens that the encoder does not know


class Command(ProjectCommand):
    help = "Embed and index the project's passages. The first build goes live at once, a later one with --serve."
    errors = (index_builds.BuildError, ClaimLost, CurationError)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--encoder",
            metavar="NAME_OR_PATH",
            help="Default: the encoder of the live release, or the setting ENCODER.",
        )
        parser.add_argument("--serve", action="store_true", help="Promote the new build without an evaluation.")

    def run(self, **options: Any) -> dict[str, Any]:
        project = self.project(options["project"])
        if not project.corpus.passages.active().exists():
            self.usage(f"{project.slug} has no passages yet: import some first")
        build = index_builds.request(project.corpus, self._encoder(project, options["encoder"]))
        build = index_builds.build(build, worker=worker_name(), on_progress=self.progress)
        if build.state != JobState.DONE:
            raise index_builds.BuildError(f"{build} was taken over by another worker, see its row")
        self.report(f"{build}: {build.passage_count:,} passages, {build.encoder.dim} dimensions, {build.seconds:.1f} s")
        unknown = vector_store.unknown_share(build)
        if unknown >= WARN_UNKNOWN_SHARE:
            self.report(
                f"{build.encoder} does not know {unknown:.0%} of the tokens: search relies on the lexical index; "
                "an encoder of this language (--encoder, or ENCODER) would also find paraphrases"
            )
        self._promote(project, build, options["serve"])
        return {
            "build": build.number,
            "passages": build.passage_count,
            "dim": build.encoder.dim,
            "seconds": round(build.seconds, 2),
            "unknown_share": unknown,
        }

    def _encoder(self, project: Project, name: str | None) -> Encoder:
        live = project.releases.live().select_related("build__encoder").first()
        try:
            if name:
                return encoders.get_or_create(name)
            return live.build.encoder if live else encoders.default_encoder()
        except NoEncoder as error:
            self.usage(str(error))

    def _promote(self, project: Project, build: IndexBuild, serve: bool) -> None:
        live: Release | None = project.releases.live().select_related("build").first()
        if live is None:
            self.report(f"release {lifecycle.create_base_release(project, build).number} is live with it")
        elif serve:
            release = lifecycle.promote(lifecycle.create_candidate(project, build=build))
            self.report(f"release {release.number} is live with it; `rollback` goes back to release {live.number}")
        else:
            self.report(
                f"release {live.number} stays live with {live.build}; `build_index --serve` promotes a new build, "
                "`loop` evaluates it first"
            )
