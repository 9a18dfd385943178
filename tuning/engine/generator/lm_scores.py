"""LM scores: the mean log-likelihood ℓ of the settled answer after each candidate passage, cached on disk.

    python -m tuning.engine.generator.lm_scores SPEC.json OUT/

These scores are the slowest numbers of a cycle, and most of them are the same in the next one. So each is written to a
cache as soon as it is known, under a key of everything that decides it: a killed process resumes where it stopped, and
a second pass only reads. A query's scores are written completely or not at all, because in a distribution over some of
the candidates the others would count as worthless.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import artifacts
from common.renamed_keys import with_current_keys
from curation.engine.generation.api_generator import ApiError
from curation.engine.generation.generator import Generator, NoGenerator, TextGenerator, is_remote, open_generator
from curation.engine.generation.prompts import DEFAULT_BUDGET, build_prompt
from retrieval.engine import hardware
from tuning.engine.data import examples
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.process import training_process
from tuning.engine.process.training_process import MetricsLog, TrainingError

# Part of every key. 1: mean natural log-probability per answer token, end token not counted.
NORMALISATION_VERSION = 1

DEFAULT_BUDGET_SECONDS = 480.0
DEFAULT_DEPTH = 10
# Queries whose pairs are scored together: with more, more of their prompts is shared; with fewer, the first ones are
# complete sooner. The first few show the speed; then half of the queries that fit into the time left come next.
MIN_CHUNK, MAX_CHUNK = 16, 512
_KEYS_PER_SELECT = 500

Progress = Callable[[int, int], None]
Pairs = dict[bytes, tuple[str, str]]  # key → (prompt, answer)


class ScoreCache:
    """Scores on disk by key; a second writer waits for the first. Close it, or use `closing`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS score (key BLOB PRIMARY KEY, value REAL) WITHOUT ROWID")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, float]:
        """Return the scores of those keys that are known."""
        scores: dict[bytes, float] = {}
        for start in range(0, len(keys), _KEYS_PER_SELECT):
            batch = list(keys[start : start + _KEYS_PER_SELECT])
            marks = ",".join("?" * len(batch))
            scores.update(self._database.execute(f"SELECT key, value FROM score WHERE key IN ({marks})", batch))
        return scores

    def put(self, scores: Mapping[bytes, float]) -> None:
        """Write these scores in one transaction."""
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT OR REPLACE INTO score VALUES (?, ?)", scores.items())
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the database file."""
        self._database.close()


@dataclass(frozen=True)
class ScoringModel:
    """A generator with the identity under which its scores are cached.

    identity: the hash of its weights and adapter, and their number format. Scores of two precisions must not be mixed
    in one list, so the format is part of every key.
    """

    generator: Generator
    identity: str

    def key(self, prompt: str, answer: str) -> bytes:
        """Return the sha256 of everything that decides the score; the prompt holds template, passage and question."""
        parts = (str(NORMALISATION_VERSION), self.identity, prompt, answer.strip())
        digest = hashlib.sha256()
        for part in parts:
            digest.update(b"%d:" % len(part.encode()) + part.encode())
        return digest.digest()


@dataclass(frozen=True)
class ScoringRequest:
    """The pairs of one query: a prompt for each candidate in order, and last the prompt without a passage."""

    query_id: str
    answer: str
    passage_ids: tuple[str, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class QueryScores:
    """ℓ of a query's answer after each passage, and without a passage (ℓ_∅)."""

    query_id: str
    scores: dict[str, float]
    without_passage: float


def build_requests(
    queries: Iterable[JudgedQuery],
    passages: Mapping[str, str],
    candidates: Mapping[str, Sequence[str]],
    template: str,
    *,
    count_tokens: Callable[[str], int],
    depth: int = DEFAULT_DEPTH,
    budget: int = DEFAULT_BUDGET,
) -> list[ScoringRequest]:
    """Return a request for each query that has an answer: its first `depth` candidates and every judged passage.

    passages: passage_id → text; ids that are not there are left out, and a query without any. Queries with the same
    first passage stand together, because their prompts share the most. The order of these passages is random but
    fixed, so that a pass that runs out of time has scored a fair sample.
    """
    requests = []
    for query in queries:
        if not query.is_answered:
            continue
        candidate_ids = dict.fromkeys([*candidates.get(query.query_id, ())[:depth], *sorted(query.grades)])
        ids = tuple(passage for passage in candidate_ids if passage in passages)
        texts = [[passages[passage]] for passage in ids] + [[]]
        prompts = tuple(
            build_prompt(template, query.text, text, count_tokens=count_tokens, budget=budget) for text in texts
        )
        if ids:
            requests.append(ScoringRequest(query.query_id, query.answer.strip(), ids, prompts))
    return sorted(requests, key=lambda one: (_hash(one.passage_ids[0]), one.passage_ids[0], one.query_id))


def score_requests(
    model: ScoringModel,
    requests: Sequence[ScoringRequest],
    cache: ScoreCache,
    *,
    budget_seconds: float = math.inf,
    on_progress: Progress | None = None,
) -> Iterator[QueryScores]:
    """Yield the scores of each request that is completed in the time, as soon as they are complete.

    Cached scores cost no time. on_progress(done, total) counts pairs and is called after each batch.
    """
    end = time.monotonic() + budget_seconds
    total, done = sum(len(request.prompts) for request in requests), 0
    start, size = 0, MIN_CHUNK if math.isfinite(budget_seconds) else MAX_CHUNK
    while start < len(requests):
        chunk, began = requests[start : start + size], time.monotonic()
        pairs = _pairs(model, chunk)
        scores = cache.get(list(pairs))
        to_score = len(pairs) - len(scores)
        for fresh in _fresh_scores(model, {key: pair for key, pair in pairs.items() if key not in scores}, end):
            cache.put(fresh)
            scores |= fresh
            if on_progress:
                on_progress(done + len(scores), total)
        done += sum(len(request.prompts) for request in chunk)
        if on_progress:
            on_progress(done, total)
        yield from _complete(model, chunk, scores)
        start += len(chunk)
        if to_score:  # cached scores tell nothing about the speed
            speed = to_score / max(time.monotonic() - began, 1e-9) * len(chunk) / len(pairs)
            size = _next_chunk_size(speed, end - time.monotonic())


def write_scores(path: Path, scored: Iterable[QueryScores]) -> set[str]:
    """Write one JSON line a query, in the order given; return the ids of the queries."""
    query_ids = set()
    with path.open("w", encoding="utf-8") as file:
        for query in scored:
            row = {"query_id": query.query_id, "scores": query.scores, "without_passage": query.without_passage}
            file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
            query_ids.add(query.query_id)
    return query_ids


def score_candidates(content: dict[str, Any], out: Path, log: MetricsLog) -> dict[str, Any]:
    """Score the candidates of training and dev queries into OUT/scores.jsonl. Raises TrainingError.

    The specification names `base`, `adapter` (may be empty), `cache_dir`, `score_cache`, `queries`, `passages`,
    `candidates`, `prompt` and `threads`, and may name `depth`, `budget_seconds`, `api_model` and two lists of query
    ids: `supervised_queries`, whose scores train the retriever, all queries by default; and `disagreement_queries`,
    which are scored after them for the priority of annotation. The result counts the scored queries of each list
    (`supervised_scored`, `disagreement_scored`), and the supervised queries with an answer (`supervised_total`).
    """
    spec = with_current_keys("lm scores specification", content)
    model = _open(spec)
    rows = [row for row in examples.read_queries(Path(spec["queries"])) if row.split != examples.TEST]
    supervised = set(spec.get("supervised_queries", [row.query_id for row in rows]))
    others = set(spec.get("disagreement_queries", [])).difference(supervised)
    first, second = (_requests(spec, model, rows, query_ids) for query_ids in (supervised, others))
    target = out / "scores.jsonl"
    scored_ids: set[str] = set()
    with closing(ScoreCache(Path(spec["score_cache"]))) as cache:
        scored = _score_with_log(spec, model, [*first, *second], cache, log)

        def fill(part: Path) -> None:
            try:
                scored_ids.update(write_scores(part, scored))
            except ApiError as error:
                raise TrainingError(str(error)) from error

        artifacts.write_file(target, fill)
    return {
        "scores": str(target),
        "identity": model.identity,
        "supervised_scored": len(scored_ids & supervised),
        "supervised_total": len(first),
        "disagreement_scored": len(scored_ids - supervised),
    }


def _score_with_log(
    spec: Mapping[str, Any], model: ScoringModel, requests: list[ScoringRequest], cache: ScoreCache, log: MetricsLog
) -> Iterator[QueryScores]:
    budget = float(spec.get("budget_seconds") or DEFAULT_BUDGET_SECONDS)
    start = log.seconds

    def write_line(done: int, total: int) -> None:
        seconds_left = (log.seconds - start) / done * (total - done)
        log.write(done, total, seconds_left=min(seconds_left, budget), note="scoring")

    return score_requests(model, requests, cache, budget_seconds=budget, on_progress=write_line)


def _requests(
    spec: Mapping[str, Any], model: ScoringModel, rows: Iterable[JudgedQuery], query_ids: set[str]
) -> list[ScoringRequest]:
    return build_requests(
        [row for row in rows if row.query_id in query_ids],
        {row.passage_id: row.text for row in examples.read_passages(Path(spec["passages"]))},
        examples.read_passage_lists(Path(spec["candidates"])),
        spec["prompt"],
        count_tokens=model.generator.count_tokens,
        depth=int(spec.get("depth") or DEFAULT_DEPTH),
    )


def _open(spec: Mapping[str, Any]) -> ScoringModel:
    """Open the specification's generator. Raises TrainingError where there is none or it cannot score."""
    dtype = "float32"
    if not is_remote(spec["base"]):  # scores of a server need no torch here, which takes seconds to load
        hardware.set_threads(int(spec.get("threads") or 0))
        dtype = hardware.fast_dtype(Path(spec["cache_dir"]) / "dtype.json")
    adapter = str(spec.get("adapter") or "")
    try:
        generator = open_generator(
            spec["base"],
            adapter,
            cache_dir=Path(spec["cache_dir"]),
            dtype=dtype,
            api_key=os.environ.get("GENERATOR_API_KEY", ""),  # a secret must not be in a file
            api_model=str(spec.get("api_model") or ""),
        )
        can_score = generator.can_score
    except (NoGenerator, ApiError) as error:
        raise TrainingError(str(error)) from error
    if not can_score:
        raise TrainingError("the server does not return log-probabilities: human grades alone can be used")
    return ScoringModel(generator, _identity(generator, adapter, dtype))


def _identity(generator: Generator, adapter: str, dtype: str) -> str:
    if not isinstance(generator, TextGenerator):
        return f"api {generator.url} {generator.model}"
    folders = [Path(path) for path in (generator.base_path, adapter) if path and Path(path).is_dir()]
    hashes = [artifacts.folder_hash(folder) for folder in folders]
    return " ".join([*(hashes or [generator.base_path]), dtype])


def _pairs(model: ScoringModel, requests: Sequence[ScoringRequest]) -> Pairs:
    return {
        model.key(prompt, request.answer): (prompt, request.answer)
        for request in requests
        for prompt in request.prompts
    }


def _fresh_scores(model: ScoringModel, pairs: Pairs, end: float) -> Iterator[dict[bytes, float]]:
    """Yield fresh scores by key, batch by batch, until the time is over."""
    if not pairs or time.monotonic() >= end:
        return
    keys = list(pairs)
    for batch in model.generator.score_batches(list(pairs.values())):
        yield {keys[row]: value for row, value in zip(batch.rows, batch.values, strict=True)}
        if time.monotonic() >= end:
            return


def _complete(
    model: ScoringModel, requests: Sequence[ScoringRequest], scores: Mapping[bytes, float]
) -> Iterator[QueryScores]:
    """Yield the scores of those requests of which every score is known."""
    for request in requests:
        keys = [model.key(prompt, request.answer) for prompt in request.prompts]
        if all(key in scores for key in keys):
            *with_passage, without_passage = (scores[key] for key in keys)
            by_passage = dict(zip(request.passage_ids, with_passage, strict=True))
            yield QueryScores(request.query_id, by_passage, without_passage)


def _next_chunk_size(queries_per_second: float, seconds_left: float) -> int:
    """Return how many queries to score together next."""
    return int(min(max(queries_per_second * seconds_left / 2, MIN_CHUNK), MAX_CHUNK))


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:8]


if __name__ == "__main__":
    sys.exit(training_process.run_training(score_candidates, sys.argv[1:]))
