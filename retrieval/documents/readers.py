"""Files and folders → sources: what a document is in each kind of file, and what it is called.

A row of JSONL or CSV is a document, a Markdown or text file is one too. A row without an id is called by its
file and line, a file by its path below the folder that was named.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from common.text_files import LONGEST_LINE, BadInput, read_jsonl, read_lines, read_text, text_of
from retrieval.documents.ingest import Source

_ID = ("_id", "id", "doc_id", "document_id", "docid")
_TITLE = ("title", "name", "heading")
_TEXT = ("text", "contents", "content", "body", "passage")
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".rst": "text",
}
_FRONT_MATTER = re.compile(r"---\n(.*?)\n---\n", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)
_FIRST_HEADING = re.compile(r"\A\s*# +(.+?)\s*#*\s*$", re.MULTILINE)


def kind_of(path: Path) -> str:
    """beir for a folder with a corpus.jsonl, folder for another one, else the kind the file's suffix tells.

    Raises BadInput when there is no such file, or its suffix tells nothing.
    """
    if path.is_dir():
        return "beir" if (path / "corpus.jsonl").is_file() else "folder"
    if not path.exists():
        raise BadInput(path, None, _("there is no such file"))
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise BadInput(path, None, _("the suffix does not tell the format: say which it is"))
    return kind


def gather(path: Path, kind: str) -> Iterator[Source]:
    """The documents of a file or folder of this kind, in order. Raises BadInput, also when there is none."""
    count = 0
    for source in _READERS[kind](path):
        count += 1
        yield source
    if not count:
        raise BadInput(path, None, _("holds no document"))


def _beir(path: Path) -> Iterator[Source]:
    file = path / "corpus.jsonl" if path.is_dir() else path
    for line, row in read_jsonl(file, ("_id", "text")):
        yield _from_row(file, line, row)


def _jsonl(path: Path) -> Iterator[Source]:
    for line, row in read_jsonl(path):
        yield _from_row(path, line, row)


def _csv(path: Path) -> Iterator[Source]:
    """A CSV or TSV with a header; the sign between its columns is the one its header has most of."""
    line = 1

    def counted() -> Iterator[str]:
        nonlocal line
        for line, text in read_lines(path, with_ends=True):  # noqa: B007
            yield text

    lines = counted()
    header = next(lines, "")
    sign = max("\t,;", key=header.count)
    csv.field_size_limit(LONGEST_LINE)
    names = [name.strip() for name in next(csv.reader([header], delimiter=sign), [])]
    try:
        for cells in csv.reader(lines, delimiter=sign, strict=True):
            if len(cells) > len(names):
                raise BadInput(path, line, _("%(n)d cells under %(m)d names") % {"n": len(cells), "m": len(names)})
            if any(cells):
                yield _from_row(path, line, dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        raise BadInput(path, line, str(error)) from error


def _markdown(path: Path, name: str = "") -> Iterator[Source]:
    text = read_text(path).replace("\r\n", "\n")
    title = ""
    front = _FRONT_MATTER.match(text)
    if front:
        found = _FRONT_TITLE.search(front[1])
        title = found[1] if found else ""
        text = text[front.end() :]
    heading = _FIRST_HEADING.match(text)
    if heading:  # the title goes with every passage, so it need not stand in the first one again
        title = title or heading[1]
        text = text[heading.end() :]
    yield Source(name or path.name, title or _titled(path), text.strip("\n"), {}, path)


def _text(path: Path, name: str = "") -> Iterator[Source]:
    yield Source(name or path.name, _titled(path), read_text(path).replace("\r\n", "\n"), {}, path)


def _folder(path: Path) -> Iterator[Source]:
    """Every file below the folder whose suffix tells a format, by name; hidden ones and the others are left out."""
    for file in sorted(path.rglob("*")):
        below = file.relative_to(path)
        kind = _SUFFIXES.get(file.suffix.lower())
        if kind is None or not file.is_file() or any(part.startswith(".") for part in below.parts):
            continue
        if kind == "markdown":
            yield from _markdown(file, below.as_posix())
        elif kind == "text":
            yield from _text(file, below.as_posix())
        else:
            yield from _READERS[kind](file)


_READERS: dict[str, Callable[[Path], Iterator[Source]]] = {
    "beir": _beir,
    "jsonl": _jsonl,
    "csv": _csv,
    "markdown": _markdown,
    "text": _text,
    "folder": _folder,
}
KINDS = tuple(_READERS)


def _from_row(path: Path, line: int, row: Mapping[str, Any]) -> Source:
    row = dict(row)
    text_name = next((name for name in _TEXT if name in row), None)
    if text_name is None:
        raise BadInput(path, line, _("no text: one of %(names)s is needed") % {"names": ", ".join(_TEXT)})
    id_name = next((name for name in _ID if name in row), "")
    title_name = next((name for name in _TITLE if name in row), "")
    external_id = text_of(path, line, row, id_name) if id_name else f"{path.name}:{line}"
    title = text_of(path, line, row, title_name, default="")
    text = text_of(path, line, row, text_name, default="")
    given = row.pop("metadata", None)
    metadata = dict(given) if isinstance(given, dict) else {}
    metadata |= {name: value for name, value in row.items() if name not in (id_name, title_name, text_name)}
    return Source(external_id, title, text, metadata, path, line)


def _titled(path: Path) -> str:
    return re.sub(r"[_\-]+", " ", path.stem).strip()
