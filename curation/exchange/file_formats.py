"""Rows of other people's files, as this app understands them; whatever is wrong is said with file and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from common.text_files import BadInput, grade_of, read_jsonl, read_qrels, text_of

_LONGEST_ID = 300
_LONGEST_NAME = 150


@dataclass(frozen=True)
class Pair:
    """One grade as a file gives it, and where."""

    query_id: str
    corpus_id: str
    grade: int | None
    curator: str
    file: Path
    line: int
    comment: str = ""


@dataclass(frozen=True)
class Asked:
    """One query as a file gives it."""

    external_id: str
    text: str
    line: int
    metadata: dict[str, Any] = field(default_factory=dict)
    passages: tuple[str, ...] = ()
    answer: str = ""


def qrels(folder: Path, split: str, curator: str) -> Iterator[Pair]:
    """The judgements of a BEIR folder's qrels/<split>.tsv, as that curator's."""
    path = folder / "qrels" / f"{split}.tsv"
    for line, query_id, corpus_id, grade in read_qrels(path):
        yield Pair(query_id, corpus_id, grade, curator, path, line)


def queries(path: Path) -> Iterator[Asked]:
    """Queries of a JSONL file: {"_id" or "query_id", "text", "passages"?, "answer"?, "metadata"?}."""
    seen = set()
    for line, row in read_jsonl(path, ("text",)):
        name = text_of(path, line, row, "_id" if "_id" in row else "query_id")
        if name in seen:
            raise BadInput(path, line, _("“%(id)s” comes twice") % {"id": name})
        if len(name) > _LONGEST_ID:
            raise BadInput(path, line, _("an id longer than %(n)d characters") % {"n": _LONGEST_ID})
        seen.add(name)
        passages = row.get("passages") or []
        if not isinstance(passages, list) or not all(isinstance(one, str) for one in passages):
            raise BadInput(path, line, _("“passages” is not a list of passage ids"))
        answer = text_of(path, line, row, "answer", default="")
        if answer and not passages:
            raise BadInput(path, line, _("an answer needs the passages it was written from"))
        text = text_of(path, line, row, "text")
        yield Asked(name, text, line, metadata(path, line, row), tuple(dict.fromkeys(passages)), answer)


def answers(path: Path) -> dict[str, str]:
    """The first answer to each query; none where the collection has no answers."""
    if not path.exists():
        return {}
    found = {}
    for line, row in read_jsonl(path, ("_id", "answers")):
        given = row["answers"]
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            raise BadInput(path, line, _("“answers” is not a list of texts"))
        found[text_of(path, line, row, "_id")] = next((one.strip() for one in given if one.strip()), "")
    return found


def judgements(path: Path) -> Iterator[Pair]:
    """Judgements of a JSONL file: {"query_id", "corpus_id", "curator", "grade", "comment"?}; null is can't tell."""
    for line, row in read_jsonl(path, ("query_id", "corpus_id", "curator", "grade")):
        grade = None if row["grade"] is None else grade_of(path, line, row["grade"])
        names = [text_of(path, line, row, name) for name in ("query_id", "corpus_id", "curator")]
        if len(names[2]) > _LONGEST_NAME:
            raise BadInput(path, line, _("a curator's name is longer than %(n)d characters") % {"n": _LONGEST_NAME})
        comment = text_of(path, line, row, "comment", default="")
        yield Pair(names[0], names[1], grade, names[2], path, line, comment)


def metadata(path: Path, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's metadata, an object; empty where it has none."""
    found = row.get("metadata") or {}
    if not isinstance(found, dict):
        raise BadInput(path, line, _("“metadata” is not an object"))
    return found
