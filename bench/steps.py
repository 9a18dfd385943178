"""One step of training, ours against others: the query side alone, both sides, and sentence-transformers' trainer.

FeedbackQA's pairs in batches of 32, passages read to 256 tokens everywhere, float32, medians over `--steps=8`
steps after the first two. The query step's softmax goes over the whole corpus. Data as in bench/retriever.py.
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
from bench._tables import show
from bench.retriever import ENCODER
from retrieval.engine import hardware
from retrieval.engine.encoders.bi_encoder import TextEncoder, resolve
from tuning.engine.process.progress import Progress
from tuning.engine.process.training_process import Log
from tuning.engine.retriever import candidates, strategies, whitening
from tuning.engine.retriever.batches import Material
from tuning.engine.retriever.retriever_spec import RetrieverSettings
from tuning.engine.retriever.trainable_encoder import Tower

BATCH, TOKENS, WARM = 32, 256, 2


def main(options: Sequence[str]) -> dict[str, Any]:
    given = dict(option.lstrip("-").split("=", 1) for option in options)
    count = BATCH * (WARM + int(given.get("steps", "8")))
    hardware.set_threads(0)
    passages, train, _ = collection.read(collection.FEEDBACKQA)
    train = train[:count]
    texts = [one.text for one in passages]
    encoder = TextEncoder(ENCODER, ENCODER)
    at = {one.passage_id: row for row, one in enumerate(passages)}
    gathered = candidates.gather(train, at, {}, 0.15)
    material = Material(
        [one.text for one in train],
        texts,
        encoder.encode_queries([one.text for one in train]),
        encoder.encode_passages([" ".join(text.split()[:60]) for text in texts]),  # any vectors of the right shape
        gathered.examples,
        np.arange(len(texts)),
        whitening.none(encoder.dim),
    )
    settings = RetrieverSettings(both_epochs=1, query_epochs=1, both_train_tokens=TOKENS)
    pairs = [(one.text, texts[at[name]]) for one in train for name in one.grades]
    seconds = {
        "trainer of sentence-transformers, both sides": _trainer(pairs),
        "ours, both sides": _ours(strategies.both, material, settings),
        "ours, both sides, 64 tokens (the default)": _ours(
            strategies.both, material, replace(settings, both_train_tokens=RetrieverSettings.both_train_tokens)
        ),
        "ours, query side, softmax over the corpus": _ours(strategies.query, material, settings),
    }
    both, peer = seconds["ours, both sides"], seconds["trainer of sentence-transformers, both sides"]
    query = seconds["ours, query side, softmax over the corpus"]
    rows = [{"step": name, "seconds": round(value, 3), "× trainer": peer / value} for name, value in seconds.items()]
    show(rows)
    print(f"query side against both sides: {both / query:.1f} × (aim ≥ 10); both sides against the trainer: "
          f"{peer / both:.2f} × (aim ≥ 1.3)")  # fmt: skip
    return {"rows": rows, "query_against_both": both / query, "both_against_trainer": peer / both,
            "machine": hardware.describe()}  # fmt: skip


def _ours(make: Any, material: Material, settings: RetrieverSettings) -> float:
    with tempfile.TemporaryDirectory() as folder:
        metrics = Path(folder) / "metrics.jsonl"
        road = make(material, settings, 0)
        progress = Progress(Log(metrics))
        progress.steps = road.steps
        strategies.walk(road, Tower(resolve(ENCODER)), material, settings, progress)
        ends = [json.loads(line)["seconds"] for line in metrics.read_text(encoding="utf-8").splitlines()]
    return median(np.diff(ends)[WARM - 1 :])


def _trainer(pairs: Sequence[tuple[str, str]]) -> float:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ends.append(time.perf_counter())

    model = SentenceTransformer(str(resolve(ENCODER)), local_files_only=True)
    data = Dataset.from_dict({"anchor": [one for one, _ in pairs], "positive": [one for _, one in pairs]})
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
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
    return median(np.diff(ends)[WARM - 1 :])
