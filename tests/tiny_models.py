"""Tiny models with real architectures and random weights: a language model, an encoder and a reranker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

CHAT = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def tiny_generator(folder: Path, *, chat: bool = True, window: int = 512, seed: int = 0) -> Path:
    """Write a Llama with two layers, 64 dimensions and a byte vocabulary into the folder; return the folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", *letters])}
    fast = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=CHAT if chat else None,
    )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]  # the encoder's 60 words


def make_text(words: Sequence[int], shift: int) -> str:
    """Return a text of the encoder's words with these numbers, each plus `shift`."""
    return " ".join(SYLLABLES[word + shift] for word in words)


def tiny_encoder(folder: Path, *, has_positions: bool = True) -> Path:
    """Write a sentence-transformers folder: BERT with one layer, 32 dimensions and the vocabulary SYLLABLES.

    has_positions: without position embeddings, texts without a common word are far apart.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    _tiny_bert(folder, SYLLABLES, has_positions)
    layers = Transformer(str(folder / "bert"), max_seq_length=32)
    encoder = SentenceTransformer(modules=[layers, Pooling(32), Normalize()], device="cpu")
    encoder.save(str(folder / "encoder"), create_model_card=False)
    return folder / "encoder"


def tiny_reranker(folder: Path, words: Sequence[str] = SYLLABLES) -> Path:
    """Write a cross-encoder folder of the same architecture. Its random head has large weights: scores differ."""
    from sentence_transformers import CrossEncoder

    from tuning.engine.process.checkpoints import save_reranker

    _tiny_bert(folder, words, has_positions=True)
    model = CrossEncoder(str(folder / "bert"), num_labels=1, max_length=48, device="cpu")
    _randomize(model.model.bert, std=0.02, seed=1)
    _randomize(model.model.classifier, std=20, seed=5)
    save_reranker(model, folder / "reranker", {})
    return folder / "reranker"


def _tiny_bert(folder: Path, words: Sequence[str], has_positions: bool) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(1)
    model = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=64, **sizes))
    if not has_positions:
        with torch.no_grad():
            model.embeddings.position_embeddings.weight *= 0.05
            model.embeddings.token_type_embeddings.weight *= 0.05
    model.save_pretrained(folder / "bert")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "bert")


def _randomize(model: Any, std: float, seed: int) -> None:
    """Set every matrix to random values. NumPy's, because torch's differ between kinds of processors."""
    import torch

    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for matrix in (parameter for parameter in model.parameters() if parameter.dim() > 1):
            matrix.copy_(torch.from_numpy(generator.normal(0.0, std, tuple(matrix.shape)).astype(np.float32)))
