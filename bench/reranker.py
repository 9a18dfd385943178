"""Does a reranker pay? FeedbackQA, fused search without and with one that learned from the same queries.

nDCG@10 on test queries with the 95 % interval of the gain, and the milliseconds of one search after another, with the
untuned encoder and after tuning it on the same queries. `--size=200 --test=200 --seed=0 --encoders=base,tuned`;
`--base=NAME` begins with a real cross-encoder; `--pool=600` searches so many passages only, the relevant ones among
them. A tenth of the size is dev. Data as in bench/retriever.py.
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
from bench._tables import show
from bench.retriever import ENCODER
from retrieval.engine import hardware
from retrieval.engine.encoders.bi_encoder import TextEncoder, resolve
from retrieval.engine.encoders.cross_encoder import TextReranker, reorder
from retrieval.engine.indexes import bm25_index, score_fusion
from tuning.engine.data import examples
from tuning.engine.data.examples import DEV, TRAIN, JudgedQuery, PassageText
from tuning.engine.metrics import ranking_metrics, significance
from tuning.engine.process.training_process import Log
from tuning.engine.reranker import train_reranker
from tuning.engine.retriever import train_retriever

DEV_SHARE = 0.1
DEPTH, LISTED = 100, 30
TIMED = 30


@dataclass(frozen=True)
class Search:
    """Fused search over the corpus, as a build does it."""

    passages: Sequence[PassageText]
    words: bm25_index.LexicalIndex
    encoder: TextEncoder
    vectors: np.ndarray
    weight: float = score_fusion.DEFAULT_WEIGHT

    def candidates(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the best of either side, with both scores."""
        dense, sparse = self.vectors @ self.encoder.encode_queries([text])[0], self.words.scores(text)
        rows = np.union1d(np.argsort(-dense, kind="stable")[:DEPTH], self.words.best(sparse, DEPTH)[1])
        return rows.astype(np.int64), dense[rows], sparse[rows]

    def best(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The first LISTED rows with their fused scores."""
        rows, dense, sparse = self.candidates(text)
        scores = score_fusion.fuse(dense, sparse, self.weight)
        order = np.argsort(-scores, kind="stable")[:LISTED]
        return rows[order], scores[order]

    def reranked(self, text: str, reranker: TextReranker, depth: int, share: float) -> np.ndarray:
        rows, scores = self.best(text)
        crossed = reranker.scores([(text, self.passages[row].text) for row in rows[:depth]])
        return np.concatenate([rows[:depth][reorder(scores[:depth], crossed, share)[0]], rows[depth:]])


def main(options: Sequence[str]) -> dict[str, Any]:
    given = dict(option.lstrip("-").split("=", 1) for option in options)
    size, seed = int(given.get("size", "200")), int(given.get("seed", "0"))
    hardware.set_threads(0)
    passages, train, test = collection.read(collection.FEEDBACKQA, int(given.get("test", "200")))
    rows = random.Random(seed).sample(train, size)
    held = max(5, round(DEV_SHARE * size))
    passages = _pool(passages, [*rows, *test], int(given.get("pool", "0")))
    rows = [replace(row, split=DEV if at < held else TRAIN) for at, row in enumerate(rows)]
    words = bm25_index.LexicalIndex.build([one.text for one in passages])
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.get("encoders", "base,tuned").split(","):
            out = Path(folder) / name
            out.mkdir()
            examples.write_passages(out / "passages.jsonl", passages)
            examples.write_queries(out / "queries.jsonl", rows)
            search = _search(name, passages, words, rows, out, seed)
            found.append({"encoder": name, "size": size} | _weigh(search, rows, test, out, seed, given.get("base", "")))
            show(found[-1:])
    return {"rows": found, "test_queries": len(test), "seed": seed, "machine": hardware.describe()}


def _pool(passages: list[PassageText], queries: list[JudgedQuery], most: int) -> list[PassageText]:
    """What was judged for the queries, filled up by chance to `most`; all passages for 0."""
    judged = {name for query in queries for name in query.grades}
    others = [one.passage_id for one in passages if one.passage_id not in judged]
    more = random.Random(0).sample(others, min(len(others), max(0, most - len(judged))))
    return [one for one in passages if not most or one.passage_id in judged.union(more)]


def _search(
    name: str,
    passages: list[PassageText],
    words: bm25_index.LexicalIndex,
    rows: list[JudgedQuery],
    out: Path,
    seed: int,
) -> Search:
    """With the untuned encoder or the tuned one, at the dense share that dev likes best."""
    folder = resolve(ENCODER)
    query_path = passage_path = folder
    if name == "tuned":
        files = {kind: str(out / f"{kind}.jsonl") for kind in ("queries", "passages")}
        spec = files | {"query_path": folder, "passage_path": folder, "seed": seed}
        (out / "encoder").mkdir()
        result = train_retriever.fit(spec, out / "encoder", Log(out / "encoder" / "metrics.jsonl"))
        query_path, passage_path = result["query_path"], result["passage_path"]
    encoder = TextEncoder(query_path, passage_path)
    vectors = encoder.encode_passages([one.text for one in passages])
    np.save(out / "vectors.npy", vectors)
    search = Search(passages, words, encoder, vectors)
    at = {one.passage_id: row for row, one in enumerate(passages)}
    graded = [
        score_fusion.Graded(*search.candidates(row.text), {at[name]: grade for name, grade in row.grades.items()})
        for row in rows
        if row.split == DEV
    ]
    return replace(search, weight=score_fusion.learn_weight(graded))


def _weigh(
    search: Search, rows: list[JudgedQuery], test: list[JudgedQuery], out: Path, seed: int, base: str
) -> dict[str, Any]:
    with (out / "candidates.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            best, scores = search.best(row.text)
            names = [search.passages[at].passage_id for at in best]
            file.write(json.dumps({"query_id": row.query_id, "passages": names, "scores": scores.tolist()}) + "\n")
    files = {kind: str(out / f"{kind}.jsonl") for kind in ("queries", "passages", "candidates")}
    spec = files | {"vectors": str(out / "vectors.npy"), "query_path": str(search.encoder.query_folder), "seed": seed}
    began = time.perf_counter()
    result = train_reranker.fit(spec | {"base": base or resolve(ENCODER)}, out, Log(out / "metrics.jsonl"))
    told = {"chosen": result["choice"], "seconds": round(time.perf_counter() - began, 1), "share": result["share"]}
    told |= {f"dev, {side}": round(value, 4) for side, value in result["dev"].items()}
    if "reranker_path" not in result:
        return told
    reranker = TextReranker(Path(result["reranker_path"]), hardware.fast_dtype())
    plain = {row.query_id: search.best(row.text)[0] for row in test}
    turned = {row.query_id: search.reranked(row.text, reranker, result["depth"], result["share"]) for row in test}
    gain = significance.compare(_values(search, plain, test), _values(search, turned, test))
    told |= {"without": gain.champion, "with": gain.challenger, "gain": [gain.low, gain.high], "p": gain.p}
    return told | _milliseconds(search, reranker, result, test[:TIMED])


def _values(search: Search, rankings: dict[str, np.ndarray], test: list[JudgedQuery]) -> dict[str, float]:
    named = {name: [search.passages[row].passage_id for row in rows] for name, rows in rankings.items()}
    return ranking_metrics.evaluate(named, {row.query_id: row.grades for row in test}).values("ndcg@10")


def _milliseconds(
    search: Search, reranker: TextReranker, result: dict[str, Any], test: list[JudgedQuery]
) -> dict[str, float]:
    """Medians of one search after another, the two taking turns."""
    sides: tuple[list[float], list[float]] = ([], [])
    for row in test:
        began = time.perf_counter()
        search.best(row.text)
        between = time.perf_counter()
        search.reranked(row.text, reranker, result["depth"], result["share"])
        sides[0].append(between - began)
        sides[1].append(time.perf_counter() - between)
    return {f"ms {name}": round(1000 * median(side), 1) for name, side in zip(("without", "with"), sides, strict=True)}
