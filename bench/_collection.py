"""Collections with grades by people, as the benchmarks of the retriever take them; under BENCH_DATA."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

from tuning.engine.examples import JudgedQuery, PassageText

SHARED = Path(os.environ.get("BENCH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FEEDBACKQA = "feedbackqa"
EXPERTQA_TEST = 200


def read(name: str, most: int = 0) -> tuple[list[PassageText], list[JudgedQuery], list[JudgedQuery]]:
    """Passages, training queries and test queries, by chance at most so many of these; 0 for all.

    ExpertQA has no splits: EXPERTQA_TEST of its queries with graded passages, always the same ones, are to test on.
    """
    folder = SHARED / name
    passages = []
    for row in _rows(folder / "corpus.jsonl"):
        title = row.get("title")
        passages.append(PassageText(row["_id"], f"{title}\n{row['text']}" if title else row["text"]))
    if (folder / "qrels" / "train.tsv").exists():
        train, test = _split(folder, "train"), _split(folder, "test")
    else:
        mixed = _split(folder, "test")
        random.Random(0).shuffle(mixed)
        train, test = mixed[EXPERTQA_TEST:], mixed[:EXPERTQA_TEST]
    return passages, train, random.Random(0).sample(test, most) if most else test


def _split(folder: Path, split: str) -> list[JudgedQuery]:
    """The split's queries, with their answers where the collection has some."""
    texts = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
    revised = folder / "answers.jsonl"
    answers = {row["_id"]: row["answers"][0] for row in _rows(revised)} if revised.exists() else {}
    grades: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query_id, passage_id, grade = line.split("\t")
        grades.setdefault(query_id, {})[passage_id] = float(grade)
    return [JudgedQuery(one, texts[one], known, answer=answers.get(one, "")) for one, known in grades.items()]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
