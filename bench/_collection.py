"""Collections with human grades for the benchmarks: BEIR folders under BENCH_DATA."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

from tuning.engine.data.examples import JudgedQuery, PassageText

COLLECTIONS = Path(os.environ.get("BENCH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FEEDBACKQA = "feedbackqa"
EXPERTQA_TEST = 200


class NoCollection(Exception):
    """A collection that a benchmark needs is not on this machine."""


def folder(name: str) -> Path:
    """Return the folder of the collection: corpus.jsonl, queries.jsonl and qrels/ as in BEIR. Raises NoCollection."""
    if not (COLLECTIONS / name / "corpus.jsonl").exists():
        raise NoCollection(f"no collection {name} under {COLLECTIONS}; set BENCH_DATA to the folder of collections")
    return COLLECTIONS / name


def texts(name: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return id → text of the passages (without titles), id → text of the queries, and id → first answer."""
    source = folder(name)
    passages = {row["_id"]: row["text"] for row in rows(source / "corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in rows(source / "queries.jsonl")}
    return passages, queries, {row["_id"]: row["answers"][0] for row in rows(source / "answers.jsonl")}


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_collection(name: str, max_test: int = 0) -> tuple[list[PassageText], list[JudgedQuery], list[JudgedQuery]]:
    """Return passages, training queries and test queries. max_test: size of a random sample of the test; 0: all.

    ExpertQA has no splits: EXPERTQA_TEST of its queries with graded passages, always the same ones, are the test.
    """
    source = folder(name)
    passages = []
    for row in rows(source / "corpus.jsonl"):
        title = row.get("title")
        passages.append(PassageText(row["_id"], f"{title}\n{row['text']}" if title else row["text"]))
    if (source / "qrels" / "train.tsv").exists():
        train, test = _read_split(source, "train"), _read_split(source, "test")
    else:
        queries = _read_split(source, "test")
        random.Random(0).shuffle(queries)
        train, test = queries[EXPERTQA_TEST:], queries[:EXPERTQA_TEST]
    return passages, train, random.Random(0).sample(test, max_test) if max_test else test


def _read_split(source: Path, split: str) -> list[JudgedQuery]:
    """Return the queries of the split, with their answers where the collection has some."""
    texts_of = {row["_id"]: row["text"] for row in rows(source / "queries.jsonl")}
    answers_path = source / "answers.jsonl"
    answers = {row["_id"]: row["answers"][0] for row in rows(answers_path)} if answers_path.exists() else {}
    grades_of: dict[str, dict[str, float]] = {}
    for line in (source / "qrels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query_id, passage_id, grade = line.split("\t")
        grades_of.setdefault(query_id, {})[passage_id] = float(grade)
    return [
        JudgedQuery(query_id, texts_of[query_id], grades, answer=answers.get(query_id, ""))
        for query_id, grades in grades_of.items()
    ]
