"""Base class of the management commands: --json, a progress bar and the exit status.

Exit status: 0 done; 1 the work failed; 2 wrong usage or input. 1 and 2 come with one line on standard error.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from common.messages import StrOrMessage
from common.text_files import BadInput

_WIDTH = 30
_REDRAW_SECONDS = 0.1


class TandemCommand(BaseCommand):
    """A command whose `run` returns its result as a dictionary, or raises one of its `errors`.

    errors: expected errors of the work. Each ends the command with status 1 and the error's message.
    """

    errors: tuple[type[Exception], ...] = ()
    requires_system_checks: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bar = _Bar()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--json", action="store_true", help="Print the result as one JSON object on the last line.")
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        self._bar = _Bar()
        self._as_json: bool = options.pop("json", False)
        expected: tuple[type[Exception], ...] = (*self.errors, DatabaseError)
        try:
            result = self.run(**options)
        except BadInput as error:
            self._stop(str(error), 2)
        except expected as error:
            self._stop(str(error), 1)
        except KeyboardInterrupt:
            self._stop("interrupted from the keyboard", 1)
        finally:
            self._bar.end()
        if self._as_json:
            self.stdout.write(json.dumps(result, ensure_ascii=False, default=str))

    def run(self, **options: Any) -> dict[str, Any]:
        """Do the work and return the result that --json prints."""
        raise NotImplementedError

    def report(self, text: str) -> None:
        """Print a line for people: on standard output, or on standard error when --json is on."""
        self._bar.end()
        (self.stderr if self._as_json else self.stdout).write(text, lambda plain: plain)

    def progress(self, done: int, total: int, note: StrOrMessage = "") -> None:
        """Update the progress bar on standard error. It appears after one second, so short work shows none."""
        self._bar.move(done, total, note)

    def usage(self, message: str) -> NoReturn:
        """End with status 2: the options make no sense."""
        self._stop(message, 2)

    def _stop(self, message: str, status: int) -> NoReturn:
        self._bar.end()
        raise CommandError(" ".join(message.split()), returncode=status)


class _Bar:
    """A progress bar: one line that is redrawn on a terminal, and a new line per tenth elsewhere.

    A total of 0 is unknown: only the count is shown then.
    """

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._drawn_at = 0.0
        self._tenth = -1
        self._is_open = False
        self._note: StrOrMessage = ""

    def move(self, done: int, total: int, note: StrOrMessage) -> None:
        now = time.monotonic()
        if note != self._note:
            self.end()
            self._started_at, self._tenth, self._note = now, -1, note
        if now - self._started_at < 1 and (done < total or not total):
            return
        if sys.stderr.isatty():
            self._draw(now, done, total)
        else:
            self._log(now, done, total)

    def end(self) -> None:
        if self._is_open:
            sys.stderr.write("\n")
            self._is_open = False

    def _draw(self, now: float, done: int, total: int) -> None:
        if now - self._drawn_at < _REDRAW_SECONDS and (done < total or not total):
            return
        filled = _WIDTH * done // total if total else 0
        bar = "█" * filled + "·" * (_WIDTH - filled)
        sys.stderr.write(f"\r\033[K{self._note} {bar} {self._figures(now, done, total)}")
        sys.stderr.flush()
        self._drawn_at, self._is_open = now, True
        if total and done >= total:
            self.end()

    def _log(self, now: float, done: int, total: int) -> None:
        tenth = 10 * done // total if total else int(now - self._started_at) // 5
        if tenth == self._tenth or now - self._started_at < 1:
            return
        self._tenth = tenth
        sys.stderr.write(f"{self._note} {self._figures(now, done, total)}\n")
        sys.stderr.flush()

    def _figures(self, now: float, done: int, total: int) -> str:
        elapsed = now - self._started_at
        time_text = f", {elapsed * (total - done) / done:.0f} s left" if 0 < done < total else f", {elapsed:.0f} s"
        return f"{done:,}/{total:,}{time_text}" if total else f"{done:,}{time_text}"
