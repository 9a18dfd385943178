"""Create the sample project: an assistant for the Python language, half of it judged."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management import call_command
from django.utils.translation import gettext as _

from common.base_command import TandemCommand
from common.heartbeat import ClaimLost
from curation.core.errors import CurationError
from curation.models import Project
from curation.sample import load, remove
from retrieval.engine.encoders.bi_encoder import NoEncoder
from retrieval.index.index_builds import BuildError
from retrieval.search.search import CannotSearch


class Command(TandemCommand):
    help = "(Re)create the sample project. The work in an existing one stays."
    errors = (BuildError, ClaimLost, CannotSearch, NoEncoder, CurationError)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--migrate", action="store_true", help="Migrate the database first.")
        parser.add_argument("--fresh", action="store_true", help="Remove an existing sample project first.")
        parser.add_argument(
            "--known-passwords",
            action="store_true",
            help="Load it even if other machines can reach the pages (ALLOWED_HOSTS).",
        )

    def run(self, **options: Any) -> dict[str, Any]:
        if options["migrate"]:
            call_command("migrate", verbosity=0)
        exists = Project.objects.filter(slug=load.SLUG).exists()
        if not exists and not load.is_local() and not options["known_passwords"]:
            self.usage(
                _(
                    "The sample's users have well-known passwords, and ALLOWED_HOSTS allows other machines than this "
                    "one. --known-passwords loads it anyway."
                )
            )
        if options["fresh"] and remove.remove(load.SLUG):
            self.report(_("The old sample project was removed."))
        loaded = load.load(on_progress=self.progress)
        self._report(loaded)
        return asdict(loaded)

    def _report(self, loaded: load.LoadedSample) -> None:
        if not loaded.added:
            self.report(_("The sample project exists (%(n)d queries).") % {"n": loaded.questions})
            return
        text = _(
            "Ask Python: %(passages)d passages of Python %(python)s; %(questions)d queries: %(settled)d resolved, "
            "%(in_review)d in review, %(open)d in the queue."
        )
        self.report(text % asdict(loaded))
        if loaded.unmatched:
            text = _("%(n)d of %(all)d passage names match no passage of this Python and were skipped.")
            self.report(text % {"n": len(loaded.unmatched), "all": loaded.keys})
