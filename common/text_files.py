"""Read JSONL, qrels and plain text files line by line; errors name the file and the line.

Everything is streamed and the length of a line is limited, so a file of any size needs little memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

MAX_LINE_BYTES = 16 * 1024 * 1024  # bytes
_QRELS_HEADER = ("query-id", "corpus-id", "score")
_GRADES = range(4)


class BadInput(Exception):
    """A file cannot be used: the import stops before it changes anything. Names the file and the line."""

    def __init__(self, path: str | Path, line: int | None, message: str) -> None:
        self.path = str(path)
        self.line = line
        self.message = message
        super().__init__(path, line, message)

    def __str__(self) -> str:
        location = f"{self.path}:{self.line}" if self.line else self.path
        return f"{location}: {self.message}"


def read_lines(path: Path, *, with_ends: bool = False) -> Iterator[tuple[int, str]]:
    """Yield line number, from 1, and text of each line, without byte-order mark, line ends and empty lines.

    with_ends: keep line ends and empty lines, for formats in which a line end can be part of a value.
    """
    try:
        with path.open("rb") as stream:
            number = 0
            while raw := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                text = _decode(path, number, raw)
                if with_ends:
                    yield number, text
                elif text.strip():
                    yield number, text.rstrip("\r\n")
    except OSError as error:
        raise BadInput(path, None, error.strerror or str(error)) from error


def read_text(path: Path) -> str:
    """Return a whole file as text; at most MAX_LINE_BYTES bytes."""
    try:
        if path.stat().st_size > MAX_LINE_BYTES:
            raise BadInput(path, None, _("larger than %(bytes)s bytes") % {"bytes": MAX_LINE_BYTES})
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(path, None, error.strerror or str(error)) from error
    return _decode(path, 1, raw, whole=True)


def read_jsonl(path: Path, required: Iterable[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and object of each line. Raises BadInput for missing `required` names and NUL characters."""
    required = tuple(required)
    for number, text in read_lines(path):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInput(path, number, _("not valid JSON: %(error)s") % {"error": _shorten(error)}) from error
        if not isinstance(row, dict):
            raise BadInput(path, number, _("not a JSON object"))
        for name in required:
            if name not in row:
                raise BadInput(path, number, _("“%(name)s” is missing") % {"name": name})
        if "\\u" in text:
            _check_characters(path, number, row)
        yield number, row


def read_qrels(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Yield line number, query id, passage id and grade 0–3 of a BEIR qrels/*.tsv or a TREC qrels file.

    BEIR's header line is skipped. Raises BadInput for other grades, also for those below 0 of some collections.
    """
    for number, text in read_lines(path):
        fields = tuple(field.strip() for field in text.split("\t")) if "\t" in text else tuple(text.split())
        if number == 1 and fields == _QRELS_HEADER:
            continue
        if len(fields) == 4:
            fields = (fields[0], fields[2], fields[3])
        if len(fields) != 3 or not all(fields):
            raise BadInput(
                path, number, _("expected query-id, corpus-id and score, got %(n)d columns") % {"n": len(fields)}
            )
        yield number, fields[0], fields[1], parse_grade(path, number, fields[2])


def parse_grade(path: Path, line: int, value: object) -> int:
    """Return a grade as a whole number 0–3. Raises BadInput for other values."""
    message = _("a grade is a whole number from 0 to 3, not “%(value)s”") % {"value": str(value)[:40]}
    if isinstance(value, bool):
        raise BadInput(path, line, message)
    try:
        number = float(str(value))
    except ValueError as error:
        raise BadInput(path, line, message) from error
    if number not in _GRADES:
        raise BadInput(path, line, message)
    return int(number)


def parse_text(path: Path, line: int, row: dict[str, Any], name: str, *, default: str | None = None) -> str:
    """Return the row's value `name` as stripped text; a number as it is written.

    A value that is missing, null or empty becomes the default. Raises BadInput without a default, and for other types.
    """
    value = row.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise BadInput(path, line, _("“%(name)s” is not text") % {"name": name})
    value = (value or "").strip()
    if value:
        return value
    if default is None:
        raise BadInput(path, line, _("“%(name)s” is empty") % {"name": name})
    return default


def _decode(path: Path, number: int, raw: bytes, *, whole: bool = False) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise BadInput(path, number, _("a line longer than %(bytes)s bytes") % {"bytes": MAX_LINE_BYTES})
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = number + raw[: error.start].count(b"\n") if whole else number
        raise BadInput(path, line, _("not UTF-8 at byte %(n)d") % {"n": error.start}) from error
    if "\0" in text:
        line = number + text[: text.index("\0")].count("\n") if whole else number
        raise BadInput(path, line, _("holds a NUL character"))
    return text


def _check_characters(path: Path, line: int, value: object) -> None:
    """Raise BadInput for NUL and lone surrogates: JSON escapes can express them, and no database stores them."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise BadInput(path, line, _("holds a NUL or half a character"))
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_characters(path, line, name)
            _check_characters(path, line, inner)
    elif isinstance(value, list):
        for inner in value:
            _check_characters(path, line, inner)


def _shorten(error: BaseException) -> str:
    return str(error)[:120] or type(error).__name__
