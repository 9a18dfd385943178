"""What every command shares: --json, a progress bar, and an exit status a script can rely on.

0 done; 1 the work failed; 2 bad usage or bad input. 1 and 2 come with one line on standard error.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from common.messages import Said
from common.text_files import BadInput

_WIDTH = 30
_REDRAW_SECONDS = 0.1


class TandemCommand(BaseCommand):
    """A command whose `run` returns its result as a dictionary, or raises one of the errors it names.

    errors: the acts' own errors; one of them ends the command with status 1 and its message.
    """

    errors: tuple[type[Exception], ...] = ()
    requires_system_checks: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bar = _Bar()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--json", action="store_true", help="The result as one JSON object on the last line.")
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        self._bar = _Bar()
        self._as_json: bool = options.pop("json", False)
        stated: tuple[type[Exception], ...] = (*self.errors, DatabaseError)
        try:
            result = self.run(**options)
        except BadInput as error:
            self._stop(str(error), 2)
        except stated as error:
            self._stop(str(error), 1)
        except KeyboardInterrupt:
            self._stop("stopped at the keyboard", 1)
        finally:
            self._bar.end()
        if self._as_json:
            self.stdout.write(json.dumps(result, ensure_ascii=False, default=str))

    def run(self, **options: Any) -> dict[str, Any]:
        """The work; its result is what --json prints."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """A line for the person at the screen: standard output, or standard error where that carries JSON."""
        self._bar.end()
        (self.stderr if self._as_json else self.stdout).write(text, lambda plain: plain)

    def progress(self, done: int, total: int, note: Said = "") -> None:
        """Move the bar on standard error; drawn from the second second on, and only where something waits."""
        self._bar.move(done, total, note)

    def usage(self, message: str) -> NoReturn:
        """End with status 2: what was asked for makes no sense."""
        self._stop(message, 2)

    def _stop(self, message: str, status: int) -> NoReturn:
        self._bar.end()
        raise CommandError(" ".join(message.split()), returncode=status)


class _Bar:
    """One line that is drawn over itself on a terminal; every tenth as a line of its own elsewhere.

    A total of 0 is one that nobody knows: only the count is shown then.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._drawn_at = 0.0
        self._tenth = -1
        self._open = False
        self._note: Said = ""

    def move(self, done: int, total: int, note: Said) -> None:
        now = time.monotonic()
        if note != self._note:
            self.end()
            self._began, self._tenth, self._note = now, -1, note
        if now - self._began < 1 and (done < total or not total):
            return
        if sys.stderr.isatty():
            self._draw(now, done, total)
        else:
            self._log(now, done, total)

    def end(self) -> None:
        if self._open:
            sys.stderr.write("\n")
            self._open = False

    def _draw(self, now: float, done: int, total: int) -> None:
        if now - self._drawn_at < _REDRAW_SECONDS and (done < total or not total):
            return
        filled = _WIDTH * done // total if total else 0
        bar = "█" * filled + "·" * (_WIDTH - filled)
        sys.stderr.write(f"\r\033[K{self._note} {bar} {self._figures(now, done, total)}")
        sys.stderr.flush()
        self._drawn_at, self._open = now, True
        if total and done >= total:
            self.end()

    def _log(self, now: float, done: int, total: int) -> None:
        tenth = 10 * done // total if total else int(now - self._began) // 5
        if tenth == self._tenth or now - self._began < 1:
            return
        self._tenth = tenth
        sys.stderr.write(f"{self._note} {self._figures(now, done, total)}\n")
        sys.stderr.flush()

    def _figures(self, now: float, done: int, total: int) -> str:
        spent = now - self._began
        left = f", {spent * (total - done) / done:.0f} s left" if 0 < done < total else f", {spent:.0f} s"
        return f"{done:,}/{total:,}{left}" if total else f"{done:,}{left}"
