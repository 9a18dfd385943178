"""Peers that train on (query, passage) pairs: the trainer of sentence-transformers, the query adapter of LlamaIndex."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


def mnrl(
    encoder: str,
    pairs: Sequence[tuple[str, str]],
    corpus: Sequence[str],
    target: Path,
    lr: float,
    seed: int,
    *,
    hard_negatives: bool = False,
    max_tokens: int | None = None,
) -> None:
    """Train one encoder for queries and passages by MultipleNegativesRankingLoss.

    One epoch in batches of 32, as its documentation shows it.
    hard_negatives: one negative for each pair from `mine_hard_negatives`, at its documented 5 % relative margin.
    """
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.util import mine_hard_negatives

    model = SentenceTransformer(encoder, local_files_only=True)
    if max_tokens:
        model.max_seq_length = max_tokens
    data = Dataset.from_dict({"anchor": [query for query, _ in pairs], "positive": [text for _, text in pairs]})
    if hard_negatives:
        data = mine_hard_negatives(
            data, model, corpus=list(corpus), relative_margin=0.05, num_negatives=1, verbose=False
        )
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=32,
            learning_rate=lr,
            seed=seed,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        loss = MultipleNegativesRankingLoss(model)
        SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=loss).train()
    model.save_pretrained(str(target), create_model_card=False)


def linear_adapter(
    queries: np.ndarray, passages: np.ndarray, relevant: Sequence[int], seed: int, *, lr: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Train a linear query adapter and return the function that applies it to query vectors.

    queries: (n, dim); passages: (m, dim); relevant: (n,) index of the relevant passage of each query. Like LlamaIndex's
    `EmbeddingAdapterFinetuneEngine`: starts from the identity, no bias, cosines times 20 with in-batch negatives,
    AdamW, batches of ten. The four epochs are those of its notebook; its own learning rate is 2e-5.
    """
    import torch

    torch.manual_seed(seed)
    dim = queries.shape[1]
    layer = torch.nn.Linear(dim, dim, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(dim))
    optimiser = torch.optim.AdamW(layer.parameters(), lr=lr)
    query_vectors, passage_vectors = torch.from_numpy(queries), torch.from_numpy(passages[list(relevant)].copy())
    for _ in range(4):
        for rows in torch.randperm(len(query_vectors)).split(10):
            adapted = torch.nn.functional.normalize(layer(query_vectors[rows]), dim=1)
            scores = 20 * adapted @ passage_vectors[rows].T  # (batch, batch)
            loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(rows)))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def adapt(vectors: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.nn.functional.normalize(layer(torch.from_numpy(vectors)), dim=1).numpy()

    return adapt
