"""What the language model thinks of the candidates: ℓ of the settled answer after each passage, kept for good.

    python -m tuning.engine.generator.lm_scores SPEC.json OUT/

Scores are the slowest numbers of a cycle, and most of them are the same in the next one. So each is written to a
cache the moment it is known, under a key of everything that decides it: a killed process goes on where it
stood, and a second pass only reads. A query's scores come out whole or not at all, because a distribution over
some of the candidates would call the others worthless.
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
from curation.engine.generation.api_generator import ApiError
from curation.engine.generation.generator import Generator, NoGenerator, TextGenerator, is_elsewhere, open_generator
from curation.engine.generation.prompts import DEFAULT_BUDGET, build_prompt
from retrieval.engine import hardware
from tuning.engine.data import examples, instances
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.process import training_process
from tuning.engine.process.training_process import CannotFit, Log

# Part of every key. 1: mean natural log-probability per answer token, end mark not counted.
NORMALISATION_VERSION = 1

DEFAULT_BUDGET_SECONDS = 480.0
DEFAULT_DEPTH = 10
# Queries whose pairs are scored together: more share more of their prompts, fewer are sooner whole. The first few
# tell the pace; of what the time is then enough for, half is taken next.
LEAST_AT_ONCE, MOST_AT_ONCE = 16, 512
_KEYS_AT_ONCE = 500

Progress = Callable[[int, int], None]


class ScoreCache:
    """Scores on disk by key; one writer at a time waits for the other. Close it, or use `closing`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=NORMAL")
        self._base.execute("CREATE TABLE IF NOT EXISTS score (key BLOB PRIMARY KEY, value REAL) WITHOUT ROWID")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, float]:
        """The scores of those keys that are known."""
        found: dict[bytes, float] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = list(keys[start : start + _KEYS_AT_ONCE])
            marks = ",".join("?" * len(some))
            found.update(self._base.execute(f"SELECT key, value FROM score WHERE key IN ({marks})", some))
        return found

    def put(self, scores: Mapping[bytes, float]) -> None:
        """Keep these, in one step."""
        self._base.execute("BEGIN IMMEDIATE")
        self._base.executemany("INSERT OR REPLACE INTO score VALUES (?, ?)", scores.items())
        self._base.execute("COMMIT")

    def close(self) -> None:
        """Leave the file to others."""
        self._base.close()


@dataclass(frozen=True)
class Asker:
    """A generator and everything about it that decides a score.

    identity: the hash of its weights and adapter, and their number format; scores of two precisions must not
    meet in one list, so the format is part of every key.
    """

    generator: Generator
    identity: str

    def key(self, prompt: str, answer: str) -> bytes:
        """sha256 of what decides the score; the prompt holds template, passage and question."""
        parts = (str(NORMALISATION_VERSION), self.identity, prompt, answer.strip())
        digest = hashlib.sha256()
        for part in parts:
            digest.update(b"%d:" % len(part.encode()) + part.encode())
        return digest.digest()


@dataclass(frozen=True)
class Job:
    """One query's pairs: a prompt for each candidate in order, and last the one without a passage."""

    query_id: str
    answer: str
    passage_ids: tuple[str, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class QueryScores:
    """ℓ of a query's answer after each passage, and without any."""

    query_id: str
    scores: dict[str, float]
    without_passage: float


def jobs(
    queries: Iterable[JudgedQuery],
    passages: Mapping[str, str],
    candidates: Mapping[str, Sequence[str]],
    template: str,
    *,
    count_tokens: Callable[[str], int],
    depth: int = DEFAULT_DEPTH,
    budget: int = DEFAULT_BUDGET,
) -> list[Job]:
    """A job for each query that has an answer: its first `depth` candidates and every passage judged for it.

    Queries that begin with the same passage stand together, because their prompts share the most; which
    passages come first is random but fixed, so that a pass that runs out of time has seen a fair sample.
    """
    made = []
    for query in queries:
        if not query.is_answered:
            continue
        wanted = dict.fromkeys([*candidates.get(query.query_id, ())[:depth], *sorted(query.grades)])
        ids = tuple(passage for passage in wanted if passage in passages)
        texts = [[passages[passage]] for passage in ids] + [[]]
        prompts = tuple(
            build_prompt(template, query.text, text, count_tokens=count_tokens, budget=budget) for text in texts
        )
        if ids:
            made.append(Job(query.query_id, query.answer.strip(), ids, prompts))
    return sorted(made, key=lambda job: (_mixed(job.passage_ids[0]), job.passage_ids[0], job.query_id))


def score(
    asker: Asker,
    jobs: Sequence[Job],
    cache: ScoreCache,
    *,
    budget_seconds: float = math.inf,
    on_progress: Progress | None = None,
) -> Iterator[QueryScores]:
    """The scores of each job that could be finished in the time, as they become whole.

    What is in the cache costs no time. on_progress(done, total) counts pairs and is called after each batch.
    """
    end = time.monotonic() + budget_seconds
    total, done = sum(len(job.prompts) for job in jobs), 0
    start, size = 0, LEAST_AT_ONCE if math.isfinite(budget_seconds) else MOST_AT_ONCE
    while start < len(jobs):
        chunk, began = jobs[start : start + size], time.monotonic()
        pairs = {asker.key(prompt, job.answer): (prompt, job.answer) for job in chunk for prompt in job.prompts}
        known = cache.get(list(pairs))
        to_score = len(pairs) - len(known)
        for fresh in _missing(asker, {key: pair for key, pair in pairs.items() if key not in known}, end):
            cache.put(fresh)
            known |= fresh
            if on_progress:
                on_progress(done + len(known), total)
        done += sum(len(job.prompts) for job in chunk)
        if on_progress:
            on_progress(done, total)
        for job in chunk:
            found = [known.get(asker.key(prompt, job.answer)) for prompt in job.prompts]
            whole = [value for value in found if value is not None]
            if len(whole) == len(found):
                yield QueryScores(job.query_id, dict(zip(job.passage_ids, whole[:-1], strict=True)), whole[-1])
        start += len(chunk)
        if to_score:  # what was in the cache says nothing about the pace
            pace = to_score / max(time.monotonic() - began, 1e-9) * len(chunk) / len(pairs)
            size = _next_size(pace, end - time.monotonic())


def write(path: Path, scored: Iterable[QueryScores]) -> set[str]:
    """One JSON line a query, in the order given; the ids of those there were."""
    found = set()
    with path.open("w", encoding="utf-8") as file:
        for one in scored:
            row = {"query_id": one.query_id, "scores": one.scores, "without_passage": one.without_passage}
            file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
            found.add(one.query_id)
    return found


def fit(spec: dict[str, Any], out: Path, log: Log) -> dict[str, Any]:
    """Score the candidates of training and dev queries into OUT/scores.jsonl. Raises CannotFit.

    The specification names `base`, `adapter` (may be empty), `cache_dir`, `score_cache`, `queries`, `passages`,
    `candidates`, `prompt`, `threads`, and may name `depth`, `budget_seconds`, `api_model`, and the queries: `teach`,
    ids of those the retriever learns from, all where they are not named; `beside`, of others, scored after them. The
    result counts how many answers teach (`of`), and how many of them and of the others were scored.
    """
    asker = _open(spec)
    rows = [row for row in examples.read_queries(Path(spec["queries"])) if row.split != examples.TEST]
    teach, beside = spec.get("teach", [row.query_id for row in rows]), spec.get("beside", [])
    first, others = _jobs(spec, asker, rows, set(teach)), _jobs(spec, asker, rows, set(beside).difference(teach))
    budget = float(spec.get("budget_seconds") or DEFAULT_BUDGET_SECONDS)
    start = log.seconds

    def note(done: int, total: int) -> None:
        left = (log.seconds - start) / done * (total - done)
        log.write(done, total, seconds_left=min(left, budget), note="scoring")

    with closing(ScoreCache(Path(spec["score_cache"]))) as cache:
        target = out / "scores.jsonl"
        scored = score(asker, [*first, *others], cache, budget_seconds=budget, on_progress=note)
        found: set[str] = set()

        def fill(part: Path) -> None:
            try:
                found.update(write(part, scored))
            except ApiError as error:
                raise CannotFit(str(error)) from error

        artifacts.write_file(target, fill)
    counts = {"queries": len(found.intersection(teach)), "beside": len(found.difference(teach)), "of": len(first)}
    return {"scores": str(target), **counts, "identity": asker.identity}


def _jobs(spec: dict[str, Any], asker: Asker, rows: Iterable[JudgedQuery], wanted: set[str]) -> list[Job]:
    return jobs(
        [row for row in rows if row.query_id in wanted],
        {row.passage_id: row.text for row in examples.read_passages(Path(spec["passages"]))},
        instances.read_candidates(Path(spec["candidates"])),
        spec["prompt"],
        count_tokens=asker.generator.count_tokens,
        depth=int(spec.get("depth") or DEFAULT_DEPTH),
    )


def _open(spec: dict[str, Any]) -> Asker:
    """The specification's generator with its identity. Raises CannotFit where there is none or it cannot score."""
    dtype = "float32"
    if not is_elsewhere(spec["base"]):  # a server's scores need no torch here, and it takes seconds to load
        hardware.set_threads(int(spec.get("threads") or 0))
        dtype = hardware.fast_dtype(Path(spec["cache_dir"]) / "dtype.json")
    adapter = str(spec.get("adapter") or "")
    try:
        generator = open_generator(
            spec["base"],
            adapter,
            cache_dir=Path(spec["cache_dir"]),
            dtype=dtype,
            api_key=os.environ.get("GENERATOR_API_KEY", ""),  # a secret does not belong into a file
            api_model=str(spec.get("api_model") or ""),
        )
    except NoGenerator as error:
        raise CannotFit(str(error)) from error
    try:
        can_score = generator.can_score
    except ApiError as error:
        raise CannotFit(str(error)) from error
    if not can_score:
        raise CannotFit("the server does not return log-probabilities: human grades alone can be used")
    if not isinstance(generator, TextGenerator):
        return Asker(generator, f"api {generator.url} {generator.model}")
    hashes = [
        artifacts.folder_hash(Path(path)) for path in (generator.base_path, adapter) if path and Path(path).is_dir()
    ]
    return Asker(generator, " ".join([*(hashes or [generator.base_path]), dtype]))


def _next_size(queries_per_second: float, seconds_left: float) -> int:
    """How many queries to score together next."""
    return int(min(max(queries_per_second * seconds_left / 2, LEAST_AT_ONCE), MOST_AT_ONCE))


def _missing(asker: Asker, pairs: Mapping[bytes, tuple[str, str]], end: float) -> Iterator[dict[bytes, float]]:
    """Fresh scores batch by batch, until the time is over."""
    if not pairs or time.monotonic() >= end:
        return
    keys = list(pairs)
    for batch in asker.generator.score_batches(list(pairs.values())):
        yield {keys[row]: value for row, value in zip(batch.rows, batch.values, strict=True)}
        if time.monotonic() >= end:
            return


def _mixed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:8]


if __name__ == "__main__":
    sys.exit(training_process.run(fit, sys.argv[1:]))
