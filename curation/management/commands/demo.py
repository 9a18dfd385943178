"""The sample project: an assistant for the Python language, half curated."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management import call_command
from django.utils.translation import gettext as _

from common.base_command import TandemCommand
from curation.core.errors import CurationError
from curation.models import Project
from curation.sample import load, remove
from retrieval.engine.encoders.bi_encoder import NoEncoder
from retrieval.index.index_builds import CannotBuild, ClaimLost
from retrieval.search.search import CannotSearch


class Command(TandemCommand):
    help = "(Re)create the sample project. What people did in an existing one is left alone."
    errors = (CannotBuild, ClaimLost, CannotSearch, NoEncoder, CurationError)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--migrate", action="store_true", help="Bring the database up to date first.")
        parser.add_argument("--fresh", action="store_true", help="Throw an existing sample project away first.")
        parser.add_argument(
            "--known-passwords",
            action="store_true",
            help="Load it although others than this machine can reach the pages (ALLOWED_HOSTS).",
        )

    def run(self, **options: Any) -> dict[str, Any]:
        if options["migrate"]:
            call_command("migrate", verbosity=0)
        is_there = Project.objects.filter(slug=load.SLUG).exists()
        if not is_there and not load.is_local() and not options["known_passwords"]:
            self.usage(
                _(
                    "The sample's people have passwords that everybody knows, and ALLOWED_HOSTS names more than this "
                    "machine. --known-passwords loads it all the same."
                )
            )
        if options["fresh"] and remove.remove(load.SLUG):
            self.report(_("The old sample project is gone."))
        loaded = load.load(on_progress=self.progress)
        self._report(loaded)
        return asdict(loaded)

    def _report(self, loaded: load.Loaded) -> None:
        if not loaded.added:
            self.report(_("The sample project is there (%(n)d questions).") % {"n": loaded.questions})
            return
        text = _(
            "Ask Python: %(passages)d passages of Python %(python)s; %(questions)d questions, %(settled)d settled, "
            "%(in_review)d before a reviewer, %(open)d in the queue."
        )
        self.report(text % asdict(loaded))
        if loaded.unmatched:
            text = _("%(n)d of %(all)d keys match no passage of this Python and were skipped.")
            self.report(text % {"n": len(loaded.unmatched), "all": loaded.keys})
