"""Gain and latency of a reranker on FeedbackQA: fused search without one, and with one trained on the same queries.

nDCG@10 on test queries with the 95 % interval of the gain, and the milliseconds of single searches, with the base
encoder and with an encoder trained on the same queries. Options: `--size=200 --test=200 --seed=0
--encoders=base,tuned`; `--base=NAME` starts from a pretrained cross-encoder; `--pool=600` searches a sample of 600
passages that contains the judged ones. A tenth of the size is the dev split. Data as in bench/retriever.py.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench import _collection as collection
from bench._options import parse
from bench._tables import show
from bench.retriever import ENCODER
from retrieval.engine import hardware
from retrieval.engine.encoders.bi_encoder import TextEncoder, resolve
from retrieval.engine.encoders.cross_encoder import TextReranker, reorder
from retrieval.engine.indexes import bm25_index, score_fusion
from tuning.engine.data import examples
from tuning.engine.data.examples import DEV, TRAIN, JudgedQuery, PassageText
from tuning.engine.metrics import ranking_metrics, significance
from tuning.engine.process.training_process import MetricsLog
from tuning.engine.reranker import train_reranker
from tuning.engine.retriever import train_retriever

DEV_SHARE = 0.1
DEPTH, LISTED = 100, 30  # candidates of each side, and length of the fused ranking
TIMED_QUERIES = 30


@dataclass(frozen=True)
class Search:
    """Fused search over the passages, as an index build does it."""

    passages: Sequence[PassageText]
    lexical: bm25_index.LexicalIndex
    encoder: TextEncoder
    vectors: np.ndarray
    weight: float = score_fusion.DEFAULT_WEIGHT

    def candidates(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows of the DEPTH best dense and the DEPTH best lexical passages, with both scores."""
        dense, sparse = self.vectors @ self.encoder.encode_queries([text])[0], self.lexical.scores(text)
        rows = np.union1d(np.argsort(-dense, kind="stable")[:DEPTH], self.lexical.best(sparse, DEPTH)[1])
        return rows.astype(np.int64), dense[rows], sparse[rows]

    def best(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the first LISTED rows with their fused scores."""
        rows, dense, sparse = self.candidates(text)
        scores = score_fusion.fuse(dense, sparse, self.weight)
        order = np.argsort(-scores, kind="stable")[:LISTED]
        return rows[order], scores[order]

    def rerank(self, text: str, reranker: TextReranker, depth: int, share: float) -> np.ndarray:
        """Return the first LISTED rows, the first `depth` of them reranked."""
        rows, scores = self.best(text)
        cross_scores = reranker.scores([(text, self.passages[row].text) for row in rows[:depth]])
        return np.concatenate([rows[:depth][reorder(scores[:depth], cross_scores, share)[0]], rows[depth:]])


def main(options: Sequence[str]) -> dict[str, Any]:
    values = parse(options)
    size, seed = int(values.get("size", "200")), int(values.get("seed", "0"))
    hardware.set_threads(0)
    passages, train, test = collection.read_collection(collection.FEEDBACKQA, int(values.get("test", "200")))
    queries = random.Random(seed).sample(train, size)
    dev_size = max(5, round(DEV_SHARE * size))
    passages = _pool(passages, [*queries, *test], int(values.get("pool", "0")))
    queries = [replace(query, split=DEV if place < dev_size else TRAIN) for place, query in enumerate(queries)]
    lexical = bm25_index.LexicalIndex.build([passage.text for passage in passages])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in values.get("encoders", "base,tuned").split(","):
            out = Path(folder) / name
            out.mkdir()
            examples.write_passages(out / "passages.jsonl", passages)
            examples.write_queries(out / "queries.jsonl", queries)
            search = _build_search(name, passages, lexical, queries, out, seed)
            row = _train_and_measure(search, queries, test, out, seed, values.get("base", ""))
            rows.append({"encoder": name, "size": size} | row)
            show(rows[-1:])
    return {"rows": rows, "test_queries": len(test), "seed": seed, "machine": hardware.describe()}


def _pool(passages: list[PassageText], queries: list[JudgedQuery], size: int) -> list[PassageText]:
    """Return the judged passages and a random sample of the others, `size` in all; all passages for size 0."""
    if not size:
        return passages
    judged = {passage_id for query in queries for passage_id in query.grades}
    others = [passage.passage_id for passage in passages if passage.passage_id not in judged]
    sample = random.Random(0).sample(others, min(len(others), max(0, size - len(judged))))
    pool = judged.union(sample)
    return [passage for passage in passages if passage.passage_id in pool]


def _build_search(
    name: str,
    passages: list[PassageText],
    lexical: bm25_index.LexicalIndex,
    queries: list[JudgedQuery],
    out: Path,
    seed: int,
) -> Search:
    """Return the search with the base encoder or the trained one, with the dense weight learned on dev."""
    folder = resolve(ENCODER)
    query_path = passage_path = folder
    if name == "tuned":
        files = {kind: str(out / f"{kind}.jsonl") for kind in ("queries", "passages")}
        spec = files | {"query_path": folder, "passage_path": folder, "seed": seed}
        (out / "encoder").mkdir()
        result = train_retriever.train(spec, out / "encoder", MetricsLog(out / "encoder" / "metrics.jsonl"))
        query_path, passage_path = result["query_path"], result["passage_path"]
    encoder = TextEncoder(query_path, passage_path)
    vectors = encoder.encode_passages([passage.text for passage in passages])
    np.save(out / "vectors.npy", vectors)
    search = Search(passages, lexical, encoder, vectors)
    row_of = {passage.passage_id: row for row, passage in enumerate(passages)}
    graded_queries = [
        score_fusion.GradedQuery(
            *search.candidates(query.text), {row_of[passage_id]: grade for passage_id, grade in query.grades.items()}
        )
        for query in queries
        if query.split == DEV
    ]
    return replace(search, weight=score_fusion.learn_weight(graded_queries))


def _train_and_measure(
    search: Search, queries: list[JudgedQuery], test: list[JudgedQuery], out: Path, seed: int, base: str
) -> dict[str, Any]:
    """Train a reranker, and compare the search with and without it, where dev selected one."""
    with (out / "candidates.jsonl").open("w", encoding="utf-8") as file:
        for query in queries:
            rows, scores = search.best(query.text)
            passage_ids = [search.passages[row].passage_id for row in rows]
            line = {"query_id": query.query_id, "passages": passage_ids, "scores": scores.tolist()}
            file.write(json.dumps(line) + "\n")
    files = {kind: str(out / f"{kind}.jsonl") for kind in ("queries", "passages", "candidates")}
    spec = files | {"vectors": str(out / "vectors.npy"), "query_path": str(search.encoder.query_folder), "seed": seed}
    started = time.perf_counter()
    result = train_reranker.train(spec | {"base": base or resolve(ENCODER)}, out, MetricsLog(out / "metrics.jsonl"))
    row = {"choice": result["choice"], "seconds": round(time.perf_counter() - started, 1), "share": result["share"]}
    row |= {f"dev, {side}": round(value, 4) for side, value in result["dev"].items()}
    if "reranker_path" not in result:
        return row
    reranker = TextReranker(Path(result["reranker_path"]), hardware.fast_dtype())
    depth, share = result["depth"], result["share"]
    fused = {query.query_id: search.best(query.text)[0] for query in test}
    reranked = {query.query_id: search.rerank(query.text, reranker, depth, share) for query in test}
    gain = significance.compare(_ndcg_values(search, fused, test), _ndcg_values(search, reranked, test))
    row |= {"without": gain.champion, "with": gain.challenger, "gain": [gain.low, gain.high], "p": gain.p}
    return row | _milliseconds(search, reranker, result, test[:TIMED_QUERIES])


def _ndcg_values(search: Search, row_rankings: dict[str, np.ndarray], test: list[JudgedQuery]) -> dict[str, float]:
    """Return nDCG@10 of each query."""
    rankings = {query_id: [search.passages[row].passage_id for row in rows] for query_id, rows in row_rankings.items()}
    return ranking_metrics.evaluate(rankings, {query.query_id: query.grades for query in test}).values("ndcg@10")


def _milliseconds(
    search: Search, reranker: TextReranker, result: dict[str, Any], test: list[JudgedQuery]
) -> dict[str, float]:
    """Return the median milliseconds of single searches without and with the reranker, measured in alternation."""
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    for query in test:
        started = time.perf_counter()
        search.best(query.text)
        middle = time.perf_counter()
        search.rerank(query.text, reranker, result["depth"], result["share"])
        seconds["without"].append(middle - started)
        seconds["with"].append(time.perf_counter() - middle)
    return {f"ms {side}": round(1000 * median(times), 1) for side, times in seconds.items()}
