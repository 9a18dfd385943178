"""Collections with grades by people, for the benchmarks; folders under BENCH_DATA, by default ../shared/data."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

from tuning.engine.data.examples import JudgedQuery, PassageText

SHARED = Path(os.environ.get("BENCH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FEEDBACKQA = "feedbackqa"
EXPERTQA_TEST = 200


class NoCollection(Exception):
    """A collection that a benchmark measures on is not on this machine."""


def folder(name: str) -> Path:
    """Where the collection is: corpus.jsonl, queries.jsonl and qrels/ as BEIR has them. Raises NoCollection."""
    if not (SHARED / name / "corpus.jsonl").exists():
        raise NoCollection(f"there is no collection {name} under {SHARED}; BENCH_DATA names the folder they are in")
    return SHARED / name


def texts(name: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """id → text of the passages, without their titles, and of the queries, and the first answer of each query."""
    place = folder(name)
    passages = {row["_id"]: row["text"] for row in rows(place / "corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in rows(place / "queries.jsonl")}
    return passages, queries, {row["_id"]: row["answers"][0] for row in rows(place / "answers.jsonl")}


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read(name: str, most: int = 0) -> tuple[list[PassageText], list[JudgedQuery], list[JudgedQuery]]:
    """Passages, training queries and test queries, by chance at most so many of these; 0 for all.

    ExpertQA has no splits: EXPERTQA_TEST of its queries with graded passages, always the same ones, are to test on.
    """
    place = folder(name)
    passages = []
    for row in rows(place / "corpus.jsonl"):
        title = row.get("title")
        passages.append(PassageText(row["_id"], f"{title}\n{row['text']}" if title else row["text"]))
    if (place / "qrels" / "train.tsv").exists():
        train, test = _split(place, "train"), _split(place, "test")
    else:
        mixed = _split(place, "test")
        random.Random(0).shuffle(mixed)
        train, test = mixed[EXPERTQA_TEST:], mixed[:EXPERTQA_TEST]
    return passages, train, random.Random(0).sample(test, most) if most else test


def _split(place: Path, split: str) -> list[JudgedQuery]:
    """The split's queries, with their answers where the collection has some."""
    asked = {row["_id"]: row["text"] for row in rows(place / "queries.jsonl")}
    revised = place / "answers.jsonl"
    answers = {row["_id"]: row["answers"][0] for row in rows(revised)} if revised.exists() else {}
    grades: dict[str, dict[str, float]] = {}
    for line in (place / "qrels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query_id, passage_id, grade = line.split("\t")
        grades.setdefault(query_id, {})[passage_id] = float(grade)
    return [JudgedQuery(one, asked[one], known, answer=answers.get(one, "")) for one, known in grades.items()]
