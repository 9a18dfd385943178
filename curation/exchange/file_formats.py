"""File formats of queries, judgements and answers; errors name the file and the line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from common.text_files import BadInput, parse_grade, parse_text, read_jsonl, read_qrels

_MAX_ID_CHARS = 300
_MAX_NAME_CHARS = 150


@dataclass(frozen=True)
class JudgementRow:
    """One judgement of a file. grade: None for can't tell. file, line: where it stands, for error messages."""

    query_id: str
    corpus_id: str
    grade: int | None
    curator: str
    file: Path
    line: int
    comment: str = ""


@dataclass(frozen=True)
class QueryRow:
    """One query of a file. passages: external ids, best first. answer: the answer that was written from them."""

    external_id: str
    text: str
    line: int
    metadata: dict[str, Any] = field(default_factory=dict)
    passages: tuple[str, ...] = ()
    answer: str = ""


def read_beir_qrels(folder: Path, split: str, curator: str) -> Iterator[JudgementRow]:
    """Yield the judgements of a BEIR folder's qrels/<split>.tsv as this curator's. Raises BadInput."""
    path = folder / "qrels" / f"{split}.tsv"
    for line, query_id, corpus_id, grade in read_qrels(path):
        yield JudgementRow(query_id, corpus_id, grade, curator, path, line)


def read_queries(path: Path) -> Iterator[QueryRow]:
    """Yield the queries of a JSONL file: {"_id" or "query_id", "text", "passages"?, "answer"?, "metadata"?}.

    Raises BadInput.
    """
    seen = set()
    for line, row in read_jsonl(path, ("text",)):
        name = parse_text(path, line, row, "_id" if "_id" in row else "query_id")
        if name in seen:
            raise BadInput(path, line, _("“%(id)s” occurs twice") % {"id": name})
        if len(name) > _MAX_ID_CHARS:
            raise BadInput(path, line, _("an id longer than %(n)d characters") % {"n": _MAX_ID_CHARS})
        seen.add(name)
        passages = row.get("passages") or []
        if not isinstance(passages, list) or not all(isinstance(name, str) for name in passages):
            raise BadInput(path, line, _("“passages” is not a list of passage ids"))
        answer = parse_text(path, line, row, "answer", default="")
        if answer and not passages:
            raise BadInput(path, line, _("an answer needs the passages it was written from"))
        text = parse_text(path, line, row, "text")
        yield QueryRow(name, text, line, parse_metadata(path, line, row), tuple(dict.fromkeys(passages)), answer)


def read_answers(path: Path) -> dict[str, str]:
    """Return query id → its first answer that is not blank; empty where there is no file. Raises BadInput."""
    if not path.exists():
        return {}
    answers = {}
    for line, row in read_jsonl(path, ("_id", "answers")):
        texts = row["answers"]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise BadInput(path, line, _("“answers” is not a list of texts"))
        answers[parse_text(path, line, row, "_id")] = next((text.strip() for text in texts if text.strip()), "")
    return answers


def read_judgements(path: Path) -> Iterator[JudgementRow]:
    """Yield the judgements of a JSONL file: {"query_id", "corpus_id", "curator", "grade", "comment"?}.

    A null grade means can't tell. Raises BadInput.
    """
    for line, row in read_jsonl(path, ("query_id", "corpus_id", "curator", "grade")):
        grade = None if row["grade"] is None else parse_grade(path, line, row["grade"])
        names = [parse_text(path, line, row, name) for name in ("query_id", "corpus_id", "curator")]
        if len(names[2]) > _MAX_NAME_CHARS:
            raise BadInput(path, line, _("a curator's name is longer than %(n)d characters") % {"n": _MAX_NAME_CHARS})
        comment = parse_text(path, line, row, "comment", default="")
        yield JudgementRow(names[0], names[1], grade, names[2], path, line, comment)


def parse_metadata(path: Path, line: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row's metadata; empty where it has none. Raises BadInput where it is not an object."""
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadInput(path, line, _("“metadata” is not an object"))
    return metadata
