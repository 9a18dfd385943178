"""Read documents from files and folders: BEIR, JSONL, CSV, Markdown and plain text.

A row of JSONL or CSV is a document, and so is a Markdown or text file. The id of a row without one is its file and
line; the id of a file is its path below the imported folder.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from common.text_files import MAX_LINE_BYTES, BadInput, parse_text, read_jsonl, read_lines, read_text
from retrieval.documents.ingest import SourceDocument

_ID_NAMES = ("_id", "id", "doc_id", "document_id", "docid")
_TITLE_NAMES = ("title", "name", "heading")
_TEXT_NAMES = ("text", "contents", "content", "body", "passage")
_FORMAT_OF_SUFFIX = {
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


def detect_format(path: Path) -> str:
    """Return beir for a folder with a corpus.jsonl, folder for other folders, else the format of the file's suffix.

    Raises BadInput when the file does not exist or its suffix is unknown.
    """
    if path.is_dir():
        return "beir" if (path / "corpus.jsonl").is_file() else "folder"
    if not path.exists():
        raise BadInput(path, None, _("there is no such file"))
    file_format = _FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if file_format is None:
        raise BadInput(path, None, _("unknown suffix: name the format"))
    return file_format


def read_documents(path: Path, file_format: str) -> Iterator[SourceDocument]:
    """Yield the documents of a file or folder in order. Raises BadInput, also when there are none."""
    count = 0
    for source in _READERS[file_format](path):
        count += 1
        yield source
    if not count:
        raise BadInput(path, None, _("holds no document"))


def _beir(path: Path) -> Iterator[SourceDocument]:
    file = path / "corpus.jsonl" if path.is_dir() else path
    for line, row in read_jsonl(file, ("_id", "text")):
        yield _from_row(file, line, row)


def _jsonl(path: Path) -> Iterator[SourceDocument]:
    for line, row in read_jsonl(path):
        yield _from_row(path, line, row)


def _csv(path: Path) -> Iterator[SourceDocument]:
    """Read a CSV or TSV with a header; the delimiter is the one that the header has most of."""
    line = 1

    def count_lines() -> Iterator[str]:
        nonlocal line
        for line, text in read_lines(path, with_ends=True):  # noqa: B007
            yield text

    lines = count_lines()
    header = next(lines, "")
    delimiter = max("\t,;", key=header.count)
    csv.field_size_limit(MAX_LINE_BYTES)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    try:
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            if len(cells) > len(names):
                raise BadInput(path, line, _("%(n)d cells under %(m)d names") % {"n": len(cells), "m": len(names)})
            if any(cells):
                yield _from_row(path, line, dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        raise BadInput(path, line, str(error)) from error


def _markdown(path: Path, name: str = "") -> Iterator[SourceDocument]:
    text = read_text(path).replace("\r\n", "\n")
    title = ""
    front = _FRONT_MATTER.match(text)
    if front:
        title_line = _FRONT_TITLE.search(front[1])
        title = title_line[1] if title_line else ""
        text = text[front.end() :]
    heading = _FIRST_HEADING.match(text)
    if heading:  # every passage has the title, so the first one need not repeat it
        title = title or heading[1]
        text = text[heading.end() :]
    yield SourceDocument(name or path.name, title or _title_of_file(path), text.strip("\n"), {}, path)


def _text(path: Path, name: str = "") -> Iterator[SourceDocument]:
    yield SourceDocument(name or path.name, _title_of_file(path), read_text(path).replace("\r\n", "\n"), {}, path)


def _folder(path: Path) -> Iterator[SourceDocument]:
    """Read the files below the folder that have a known suffix, sorted by path; hidden files are skipped."""
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        file_format = _FORMAT_OF_SUFFIX.get(file.suffix.lower())
        if file_format is None or not file.is_file() or any(part.startswith(".") for part in relative.parts):
            continue
        if file_format == "markdown":
            yield from _markdown(file, relative.as_posix())
        elif file_format == "text":
            yield from _text(file, relative.as_posix())
        else:
            yield from _READERS[file_format](file)


_READERS: dict[str, Callable[[Path], Iterator[SourceDocument]]] = {
    "beir": _beir,
    "jsonl": _jsonl,
    "csv": _csv,
    "markdown": _markdown,
    "text": _text,
    "folder": _folder,
}
FORMATS = tuple(_READERS)


def _from_row(path: Path, line: int, row: Mapping[str, Any]) -> SourceDocument:
    row = dict(row)
    text_name = next((name for name in _TEXT_NAMES if name in row), None)
    if text_name is None:
        raise BadInput(path, line, _("no text: one of %(names)s is needed") % {"names": ", ".join(_TEXT_NAMES)})
    id_name = next((name for name in _ID_NAMES if name in row), "")
    title_name = next((name for name in _TITLE_NAMES if name in row), "")
    external_id = parse_text(path, line, row, id_name) if id_name else f"{path.name}:{line}"
    title = parse_text(path, line, row, title_name, default="")
    text = parse_text(path, line, row, text_name, default="")
    nested = row.pop("metadata", None)
    metadata = dict(nested) if isinstance(nested, dict) else {}
    metadata |= {name: value for name, value in row.items() if name not in (id_name, title_name, text_name)}
    return SourceDocument(external_id, title, text, metadata, path, line)


def _title_of_file(path: Path) -> str:
    return re.sub(r"[_\-]+", " ", path.stem).strip()
