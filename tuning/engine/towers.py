"""An encoder that learns: the modules of a sentence-transformers folder, run with gradients.

A batch of texts is cut into buckets of like length, because a bucket costs as much as its longest text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.engine.candidates import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

BUCKET = 16


class Tower:
    """One set of weights. `max_tokens` shortens what is read of a text, and stays with the weights when saved."""

    def __init__(self, folder: str | Path, max_tokens: int | None = None) -> None:
        from sentence_transformers import SentenceTransformer

        self.model: SentenceTransformer = SentenceTransformer(str(folder), local_files_only=True)
        if max_tokens is not None:
            self.model.max_seq_length = min(max_tokens, self.model.max_seq_length or max_tokens)

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

    def adapt(self) -> None:
        """Put a square matrix behind the encoder, the identity at first; from now on it alone learns."""
        import torch
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize

        dim = self.model.get_embedding_dimension() or 0
        self.model.requires_grad_(False)
        start = torch.eye(dim)
        matrix = Dense(dim, dim, bias=False, activation_function=torch.nn.Identity(), init_weight=start)
        self.model.append(matrix)
        self.model.append(Normalize())

    def adapted(self, vectors: Tensor) -> Tensor:
        """What the matrix makes of vectors (n, dim) of the encoder behind which it stands; of length 1."""
        import torch

        matrix: Any = self.model[-2]
        moved: Tensor = matrix.linear(vectors)
        return torch.nn.functional.normalize(moved, dim=1)

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
        import torch

        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            dim = self.model.get_embedding_dimension() or 0
            out: Vectors = self.embed(texts).cpu().numpy() if texts else np.zeros((0, dim), np.float32)
        self.model.train(was_training)
        return out
