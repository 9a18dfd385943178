"""Trainable encoder: the modules of a sentence-transformers bi-encoder, run with gradients.

A batch of texts is cut into buckets of similar length, because a bucket costs as much as its longest text. Queries may
pass one more matrix than passages do, the head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.engine.encoders import lead_pooling
from tuning.engine.retriever.candidates import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

BUCKET = 16


class TrainableEncoder:
    """One set of weights.

    max_tokens:  limits the length of a text, and is saved with the weights.
    lead_tokens: of the lead pooling of passages; None for those the weights were saved with.
    """

    def __init__(
        self, folder: str | Path, max_tokens: int | None = None, lead_tokens: Sequence[int] | None = None
    ) -> None:
        from sentence_transformers import SentenceTransformer

        self.model: SentenceTransformer = SentenceTransformer(str(folder), local_files_only=True)
        if max_tokens is not None:
            self.model.max_seq_length = min(max_tokens, self.model.max_seq_length or max_tokens)
        self.lead_tokens = lead_pooling.lead_tokens(Path(folder)) if lead_tokens is None else tuple(lead_tokens)
        self.head: Any = None  # a Dense module

    @contextmanager
    def truncated(self, max_tokens: int | None) -> Iterator[None]:
        """Truncate texts to `max_tokens` within the block; None keeps the usual length."""
        usual = self.model.max_seq_length
        if max_tokens is not None:
            self.model.max_seq_length = min(max_tokens, usual or max_tokens)
        try:
            yield
        finally:
            self.model.max_seq_length = usual

    def set_head(self, matrix: Vectors) -> None:
        """Put a matrix (dim, dim) behind the query side."""
        import torch
        from sentence_transformers.sentence_transformer.modules import Dense

        dim = len(matrix)
        self.head = Dense(
            dim, dim, bias=False, activation_function=torch.nn.Identity(), init_weight=torch.from_numpy(matrix.copy())
        ).to(self.model.device)

    def apply_head(self, vectors: Tensor) -> Tensor:
        """Return query vectors (n, dim) behind the head, of length 1; unchanged without a head."""
        import torch

        if self.head is None:
            return vectors
        projected: Tensor = self.head.linear(vectors)
        return torch.nn.functional.normalize(projected, dim=1)

    @contextmanager
    def query_model(self) -> Iterator[SentenceTransformer]:
        """Give the model of the query side within the block: the encoder with the head as its last modules."""
        from sentence_transformers.sentence_transformer.modules import Normalize

        modules = [] if self.head is None else [self.head, Normalize()]
        for module in modules:
            self.model.append(module)
        try:
            yield self.model
        finally:
            for _module in modules:
                del self.model[-1]

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Return (n, dim) vectors of length 1 in the order of the texts, n ≥ 1, with gradients in training mode."""
        import torch

        order = sorted(range(len(texts)), key=lambda position: (-len(texts[position]), position))
        parts = []
        for start in range(0, len(order), BUCKET):
            features = self.model.preprocess([texts[position] for position in order[start : start + BUCKET]])
            features = {
                name: value.to(self.model.device) if isinstance(value, torch.Tensor) else value
                for name, value in features.items()
            }
            parts.append(self.model(features)["sentence_embedding"])
        original_order = torch.from_numpy(np.argsort(order))
        return torch.nn.functional.normalize(torch.cat(parts)[original_order], dim=1)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the same as an array, without gradients and dropout; (0, dim) for no texts."""
        return self._without_gradients(texts, self.embed)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of queries as an array: behind the head."""
        return self._without_gradients(texts, lambda queries: self.apply_head(self.embed(queries)))

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of passages as an array: with lead pooling."""
        return lead_pooling.embed(texts, self.lead_tokens, self.model.tokenizer, self.encode)

    def _without_gradients(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Tensor]) -> Vectors:
        import torch

        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            dim = self.model.get_embedding_dimension() or 0
            vectors: Vectors = embed(texts).cpu().numpy() if texts else np.zeros((0, dim), np.float32)
        self.model.train(was_training)
        return vectors
