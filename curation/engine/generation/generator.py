"""A language model that writes answers and says how likely a given answer is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curation.engine.generation import log_likelihood, repetition
from curation.engine.generation.api_generator import ApiGenerator
from curation.engine.generation.gguf import NoGenerator, resolve
from curation.engine.generation.prompt_tokens import Dialogue

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "ApiGenerator",
    "Generator",
    "NoGenerator",
    "TextGenerator",
    "is_elsewhere",
    "load",
    "open_generator",
    "resolve",
]

Progress = Callable[[int, int], None]

DEFAULT_MAX_TOKENS = 96
# Prompts written to at once, and prompt tokens read at once.
BATCH_ROWS = 32
BATCH_TOKENS = 8192


class TextGenerator:
    """A generator in this process. Safe to share between threads.

    A lock is held for one batch at a time, so a draft somebody waits for goes in between the batches of
    a long evaluation. adapter_path: a LoRA folder, merged into the base weights at loading. dtype: of the
    weights; scores are always computed from float32 logits.
    """

    can_score = True

    def __init__(self, base_path: str | Path, adapter_path: str | Path | None = None, dtype: str = "float32") -> None:
        self.base_path = str(base_path)
        self.model, tokenizer = load(base_path, adapter_path, dtype)
        self.dialogue = Dialogue(tokenizer)
        self._lock = threading.Lock()

    def generate(
        self,
        prompts: Sequence[str],
        max_tokens: int = DEFAULT_MAX_TOKENS,
        on_progress: Progress | None = None,
    ) -> list[str]:
        """The likeliest answers word by word (greedy), in the order of the prompts, of at most `max_tokens` tokens.

        Ends at the model's end mark, or where it goes round in a circle (`looping`). on_progress(done, total) is called
        after each batch.
        Raises ValueError for a prompt longer than the model can read.
        """
        ids = [self.dialogue.prompt_ids(prompt) for prompt in prompts]
        self._check_fits(ids, max_tokens)
        answers = [""] * len(ids)
        done = 0
        for rows in _batches([len(row) for row in ids]):
            with self._lock:
                written = self._write([ids[row] for row in rows], max_tokens)
            for row, answer in zip(rows, written, strict=True):
                answers[row] = answer
            done += len(rows)
            if on_progress:
                on_progress(done, len(ids))
        return answers

    def score(self, pairs: Sequence[tuple[str, str]], on_progress: Progress | None = None) -> NDArray[np.float64]:
        """(n,) mean log-probability per token of each pair's answer after its prompt, in natural logarithms.

        The end mark is not counted. Raises ValueError for an empty answer: it has no mean.
        """
        return log_likelihood.gathered(self.score_batches(pairs), len(pairs), on_progress)

    def score_batches(self, pairs: Sequence[tuple[str, str]]) -> Iterator[log_likelihood.Scored]:
        """The same scores batch by batch, as they are computed, in no particular order."""
        joined = [
            log_likelihood.Pair(self.dialogue.prompt_ids(prompt), self.dialogue.answer_ids(answer))
            for prompt, answer in pairs
        ]
        for (_prompt, answer), pair in zip(pairs, joined, strict=True):
            if not pair.answer:
                raise ValueError(f"an answer without a token cannot be scored: {answer!r}")
        self._check_fits([pair.prompt + pair.answer for pair in joined], 0)
        batches = log_likelihood.score_pairs(self.model, joined)
        while True:
            with self._lock:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def count_tokens(self, text: str) -> int:
        """Tokens of a piece of text by itself."""
        return self.dialogue.count(text)

    def _write(self, rows: list[list[int]], max_tokens: int) -> list[str]:
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        width, pad = max(map(len, rows)), self.dialogue.end_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])  # (rows, tokens)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        ends = self.model.generation_config.eos_token_id
        config_class: Any = GenerationConfig
        config = config_class(
            do_sample=False,
            max_new_tokens=max_tokens,
            eos_token_id=self.dialogue.end_id if ends is None else ends,
            pad_token_id=pad,
        )
        device = self.model.device
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([repetition.Stop(width)]),
            )
        return [self.dialogue.text(self._ended(row)) for row in out[:, width:].tolist()]

    def _ended(self, ids: list[int]) -> list[int]:
        """An answer up to its end mark, or to where it begins to repeat itself."""
        end = self.dialogue.end_id
        return list(repetition.without(ids[: ids.index(end)] if end in ids else ids))

    @property
    def window(self) -> int:
        """The most tokens of a prompt and its answer together; 0 where the weights do not say."""
        return int(getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None) or 0)

    def _check_fits(self, rows: Sequence[list[int]], more: int) -> None:
        longest = max(map(len, rows), default=0) + more
        if self.window and longest > self.window:
            raise ValueError(f"{longest} tokens do not fit into the {self.window} this generator can read")


Generator = TextGenerator | ApiGenerator


def is_elsewhere(name: str) -> bool:
    """Whether it is the address of a server, and no weights have to be loaded here."""
    return name.startswith(("http://", "https://"))


def open_generator(
    name: str,
    adapter_path: str | Path | None = None,
    *,
    cache_dir: Path,
    dtype: str = "float32",
    api_key: str = "",
    api_model: str = "",
) -> Generator:
    """The generator called `name`: a server for an http(s) address, else weights `resolve` can find.

    Raises NoGenerator.
    """
    if is_elsewhere(name):
        return ApiGenerator(name, api_key, api_model)
    return TextGenerator(resolve(name, cache_dir), adapter_path or None, dtype)


def load(
    base_path: str | Path, adapter_path: str | Path | None = None, dtype: str = "float32"
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Weights, with the adapter merged into them, and the tokenizer. Raises NoGenerator."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(base_path))
        model: Any = AutoModelForCausalLM.from_pretrained(str(base_path), dtype=getattr(torch, dtype))
        if adapter_path:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(adapter_path)).merge_and_unload()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NoGenerator(f"{adapter_path or base_path} holds no generator: {reason}") from error
    if torch.cuda.is_available():
        model.to("cuda")
    model.eval()
    return model, tokenizer


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Rows of like length together, the longest first, at most BATCH_ROWS rows and BATCH_TOKENS padded tokens."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        batch = batches[-1] if batches else []
        if batch and len(batch) < BATCH_ROWS and lengths[batch[0]] * (len(batch) + 1) <= BATCH_TOKENS:
            batch.append(row)
        else:
            batches.append([row])
    return batches
