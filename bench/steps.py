"""Time of one training step: the dual-encoder and query-encoder strategies, and sentence-transformers' trainer.

FeedbackQA's pairs in batches of 32, passages truncated to 256 tokens, float32, medians over `--steps=8` steps after two
warm-up steps. The softmax of the query encoder goes over the whole corpus. Data as in bench/retriever.py.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
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
from tuning.engine.process.progress import Progress
from tuning.engine.process.training_process import MetricsLog
from tuning.engine.retriever import candidates, strategies, whitening
from tuning.engine.retriever.batches import TrainingData
from tuning.engine.retriever.retriever_spec import RetrieverSettings
from tuning.engine.retriever.trainable_encoder import TrainableEncoder

BATCH_SIZE, MAX_TOKENS, WARM_UP_STEPS = 32, 256, 2
PEER = "sentence-transformers' trainer, both encoders"
DUAL, QUERY = "ours, dual encoder", "ours, query encoder, softmax over the corpus"


def main(options: Sequence[str]) -> dict[str, Any]:
    count = BATCH_SIZE * (WARM_UP_STEPS + int(parse(options).get("steps", "8")))
    hardware.set_threads(0)
    passages, train, _ = collection.read_collection(collection.FEEDBACKQA)
    train = train[:count]
    texts = [passage.text for passage in passages]
    encoder = TextEncoder(ENCODER, ENCODER)
    row_of = {passage.passage_id: row for row, passage in enumerate(passages)}
    training = candidates.build_examples(train, row_of, {}, 0.15)
    query_texts = [query.text for query in train]
    data = TrainingData(
        query_texts,
        texts,
        encoder.encode_queries(query_texts),
        encoder.encode_passages([" ".join(text.split()[:60]) for text in texts]),  # any vectors of the right shape
        training.examples,
        np.arange(len(texts)),
        whitening.identity(encoder.dim),
    )
    settings = RetrieverSettings(dual_epochs=1, query_epochs=1, dual_train_tokens=MAX_TOKENS)
    default = replace(settings, dual_train_tokens=RetrieverSettings.dual_train_tokens)
    pairs = [(query.text, texts[row_of[passage_id]]) for query in train for passage_id in query.grades]
    seconds = {
        PEER: _time_peer(pairs),
        DUAL: _time_ours(strategies.dual_encoder, data, settings),
        f"{DUAL}, {default.dual_train_tokens} tokens (the default)": _time_ours(strategies.dual_encoder, data, default),
        QUERY: _time_ours(strategies.query_encoder, data, settings),
    }
    peer, dual, query = seconds[PEER], seconds[DUAL], seconds[QUERY]
    rows = [{"step": name, "seconds": round(value, 3), "× trainer": peer / value} for name, value in seconds.items()]
    show(rows)
    print(
        f"query encoder against dual encoder: {dual / query:.1f} × (target ≥ 10); "
        f"dual encoder against the trainer: {peer / dual:.2f} × (target ≥ 1.3)"
    )
    speedups = {"query_against_dual": dual / query, "dual_against_trainer": peer / dual}
    return {"rows": rows} | speedups | {"machine": hardware.describe()}


def _time_ours(build_strategy: Any, data: TrainingData, settings: RetrieverSettings) -> float:
    """Return the median seconds of a step of the strategy."""
    with tempfile.TemporaryDirectory() as folder:
        metrics = Path(folder) / "metrics.jsonl"
        strategy = build_strategy(data, settings, 0)
        progress = Progress(MetricsLog(metrics))
        progress.steps = strategy.steps
        strategies.train(strategy, TrainableEncoder(resolve(ENCODER)), data, settings, progress)
        ends = [json.loads(line)["seconds"] for line in metrics.read_text(encoding="utf-8").splitlines()]
    return float(median(np.diff(ends)[WARM_UP_STEPS - 1 :]))


def _time_peer(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the median seconds of a step of sentence-transformers' trainer on (query, passage) pairs."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

    model = SentenceTransformer(str(resolve(ENCODER)), local_files_only=True)
    data = Dataset.from_dict({"anchor": [query for query, _ in pairs], "positive": [passage for _, passage in pairs]})
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=5e-5,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=data,
            loss=MultipleNegativesRankingLoss(model),
            callbacks=[Clock()],
        ).train()
    return float(median(np.diff(ends)[WARM_UP_STEPS - 1 :]))
