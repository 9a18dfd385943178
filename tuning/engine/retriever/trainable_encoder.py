"""An encoder that learns: the modules of a sentence-transformers folder, run with gradients.

A batch of texts is cut into buckets of like length, because a bucket costs as much as its longest text. A query may
pass a matrix more than a passage does, the tower's head.
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


class Tower:
    """One set of weights. `max_tokens` shortens what is read of a text, and stays with the weights when saved.

    begun: tokens of the beginnings of a passage that are read besides; None for what the weights themselves want.
    """

    def __init__(self, folder: str | Path, max_tokens: int | None = None, begun: Sequence[int] | None = None) -> None:
        from sentence_transformers import SentenceTransformer

        self.model: SentenceTransformer = SentenceTransformer(str(folder), local_files_only=True)
        if max_tokens is not None:
            self.model.max_seq_length = min(max_tokens, self.model.max_seq_length or max_tokens)
        self.begun = lead_pooling.wanted(Path(folder)) if begun is None else tuple(begun)
        self.head: Any = None  # a Dense module

    @contextmanager
    def reading(self, max_tokens: int | None) -> Iterator[None]:
        """For a while, read no more than so many tokens of a text."""
        usual = self.model.max_seq_length
        if max_tokens is not None:
            self.model.max_seq_length = min(max_tokens, usual or max_tokens)
        try:
            yield
        finally:
            self.model.max_seq_length = usual

    def put_head(self, matrix: Vectors) -> None:
        """Put a matrix (dim, dim) behind the query side."""
        import torch
        from sentence_transformers.sentence_transformer.modules import Dense

        dim = len(matrix)
        self.head = Dense(
            dim, dim, bias=False, activation_function=torch.nn.Identity(), init_weight=torch.from_numpy(matrix.copy())
        ).to(self.model.device)

    def turned(self, vectors: Tensor) -> Tensor:
        """What the head makes of a query's vectors (n, dim), of length 1; the same ones without a head."""
        import torch

        if self.head is None:
            return vectors
        moved: Tensor = self.head.linear(vectors)
        return torch.nn.functional.normalize(moved, dim=1)

    @contextmanager
    def query_side(self) -> Iterator[SentenceTransformer]:
        """The model that embeds queries, the head among its modules."""
        from sentence_transformers.sentence_transformer.modules import Normalize

        added = [] if self.head is None else [self.head, Normalize()]
        for module in added:
            self.model.append(module)
        try:
            yield self.model
        finally:
            for _module in added:
                del self.model[-1]

    def embed(self, texts: Sequence[str]) -> Tensor:
        """(n, dim) vectors of length 1 in the order of the texts, n ≥ 1, with the gradient of the current mode."""
        import torch

        order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))
        parts = []
        for start in range(0, len(order), BUCKET):
            features = self.model.preprocess([texts[i] for i in order[start : start + BUCKET]])
            features = {
                name: value.to(self.model.device) if isinstance(value, torch.Tensor) else value
                for name, value in features.items()
            }
            parts.append(self.model(features)["sentence_embedding"])
        back = torch.from_numpy(np.argsort(order))
        return torch.nn.functional.normalize(torch.cat(parts)[back], dim=1)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """The same without a gradient and without dropout, as an array; (0, dim) for none."""
        return self._quietly(texts, self.embed)

    def query_vectors(self, texts: Sequence[str]) -> Vectors:
        """The same for queries: behind the head."""
        return self._quietly(texts, lambda some: self.turned(self.embed(some)))

    def passage_vectors(self, texts: Sequence[str]) -> Vectors:
        """The same for passages: with their beginnings."""
        return lead_pooling.mean(texts, self.begun, self.model.tokenizer, self.vectors)

    def _quietly(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Tensor]) -> Vectors:
        import torch

        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            dim = self.model.get_embedding_dimension() or 0
            out: Vectors = embed(texts).cpu().numpy() if texts else np.zeros((0, dim), np.float32)
        self.model.train(was_training)
        return out
