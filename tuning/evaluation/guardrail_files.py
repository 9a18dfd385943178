"""Files of a guardrail set: corpus.jsonl, queries.jsonl, qrels.tsv and answers.jsonl of a BEIR-like folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from common.text_files import BadInput, parse_text, read_jsonl, read_qrels
from curation.engine.statistics import relevance

CORPUS, QUERIES, QRELS, ANSWERS = "corpus.jsonl", "queries.jsonl", "qrels.tsv", "answers.jsonl"
FILES = (CORPUS, QUERIES, QRELS, ANSWERS)


@dataclass
class Contents:
    """query_id → question; passage_id → text; query_id → passage_id → grade; query_id → correct answers."""

    questions: dict[str, str] = field(default_factory=dict)
    passages: dict[str, str] = field(default_factory=dict)
    grades: dict[str, dict[str, float]] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        return {
            "passages": len(self.passages),
            "queries": len(self.questions),
            "grades": sum(map(len, self.grades.values())),
            "answers": len(self.answers),
        }


def read_contents(folder: Path) -> Contents:
    """Read the files of a guardrail set; all but queries.jsonl are optional.

    Raises BadInput with file and line, also for an id that is in none of the other files.
    """
    contents = Contents(questions=_read_questions(folder / QUERIES))
    if (folder / CORPUS).exists():
        contents.passages = _read_passages(folder / CORPUS)
    if (folder / QRELS).exists():
        contents.grades = _read_grades(folder / QRELS, contents)
    if (folder / ANSWERS).exists():
        contents.answers = _read_answers(folder / ANSWERS, contents)
    return contents


def write_contents(folder: Path, contents: Contents) -> None:
    """Write the files of a guardrail set into an existing folder. Grades are rounded to whole ones."""
    _write_jsonl(folder / QUERIES, ({"_id": key, "text": text} for key, text in contents.questions.items()))
    if contents.grades:
        _write_jsonl(folder / CORPUS, ({"_id": key, "text": text} for key, text in contents.passages.items()))
        lines = [
            f"{query_id}\t{passage_id}\t{relevance.nearest_grade(grade)}\n"
            for query_id, grades in contents.grades.items()
            for passage_id, grade in grades.items()
        ]
        (folder / QRELS).write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), encoding="utf-8")
    if contents.answers:
        _write_jsonl(folder / ANSWERS, ({"_id": key, "answers": texts} for key, texts in contents.answers.items()))


def _read_questions(path: Path) -> dict[str, str]:
    rows = read_jsonl(path, required=["_id", "text"])
    return {parse_text(path, line, row, "_id"): parse_text(path, line, row, "text") for line, row in rows}


def _read_passages(path: Path) -> dict[str, str]:
    passages = {}
    for line, row in read_jsonl(path, required=["_id", "text"]):
        title = parse_text(path, line, row, "title", default="")
        text = parse_text(path, line, row, "text")
        passages[parse_text(path, line, row, "_id")] = f"{title}\n{text}" if title else text
    return passages


def _read_grades(path: Path, contents: Contents) -> dict[str, dict[str, float]]:
    grades: dict[str, dict[str, float]] = {}
    for line, query_id, passage_id, grade in read_qrels(path):
        _check_known(path, line, query_id, contents.questions)
        _check_known(path, line, passage_id, contents.passages)
        grades.setdefault(query_id, {})[passage_id] = float(grade)
    return grades


def _read_answers(path: Path, contents: Contents) -> dict[str, list[str]]:
    answers: dict[str, list[str]] = {}
    for line, row in read_jsonl(path, required=["_id", "answers"]):
        query_id, texts = parse_text(path, line, row, "_id"), row["answers"]
        _check_known(path, line, query_id, contents.questions)
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise BadInput(path, line, _("“answers” is not a list of texts"))
        answers[query_id] = texts
    return answers


def _check_known(path: Path, line: int, name: str, known: dict[str, str]) -> None:
    if name not in known:
        raise BadInput(path, line, _("“%(id)s” is in none of the other files") % {"id": name})


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
