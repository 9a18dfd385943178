"""The generator: a language model that writes answers and scores given answers by their mean log-likelihood."""

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
from curation.engine.generation.prompt_tokens import PromptTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "ApiGenerator",
    "Generator",
    "NoGenerator",
    "TextGenerator",
    "is_remote",
    "load_model",
    "open_generator",
    "resolve",
]

Progress = Callable[[int, int], None]

DEFAULT_MAX_TOKENS = 96
# Prompts in one batch of generation, and their tokens with padding.
BATCH_ROWS = 32
BATCH_TOKENS = 8192


class TextGenerator:
    """A generator in this process. Safe to share between threads.

    A lock is held for one batch at a time: a draft that somebody waits for is generated between the batches of a
    long evaluation. adapter_path: a LoRA folder, merged into the base weights at loading. dtype: of the weights;
    scores are always computed from float32 logits.
    """

    can_score = True

    def __init__(self, base_path: str | Path, adapter_path: str | Path | None = None, dtype: str = "float32") -> None:
        self.base_path = str(base_path)
        self.model, tokenizer = load_model(base_path, adapter_path, dtype)
        self.prompt_tokenizer = PromptTokenizer(tokenizer)
        self._lock = threading.Lock()

    def generate(
        self,
        prompts: Sequence[str],
        max_tokens: int = DEFAULT_MAX_TOKENS,
        on_progress: Progress | None = None,
    ) -> list[str]:
        """Return the answers of greedy decoding, in the order of the prompts, of at most `max_tokens` tokens.

        An answer ends at the model's end token or at a repetition (see `repetition`). on_progress(done, total) is
        called after each batch. Raises ValueError for a prompt longer than the model's context window.
        """
        ids = [self.prompt_tokenizer.prompt_ids(prompt) for prompt in prompts]
        self._check_fits(ids, max_tokens)
        answers = [""] * len(ids)
        done = 0
        for rows in _batches([len(row) for row in ids]):
            with self._lock:
                batch_answers = self._generate_batch([ids[row] for row in rows], max_tokens)
            for row, answer in zip(rows, batch_answers, strict=True):
                answers[row] = answer
            done += len(rows)
            if on_progress:
                on_progress(done, len(ids))
        return answers

    def score(self, pairs: Sequence[tuple[str, str]], on_progress: Progress | None = None) -> NDArray[np.float64]:
        """Return the (n,) mean log-likelihood per token of each pair's answer after its prompt, natural logarithms.

        pairs: (prompt, answer). The end token is not counted. Raises ValueError for an empty answer: it has no mean.
        """
        return log_likelihood.collect_scores(self.score_batches(pairs), len(pairs), on_progress)

    def score_batches(self, pairs: Sequence[tuple[str, str]]) -> Iterator[log_likelihood.ScoredBatch]:
        """Yield the same scores batch by batch, as they are computed, in no particular order."""
        tokenised = [
            log_likelihood.PromptAnswer(
                self.prompt_tokenizer.prompt_ids(prompt), self.prompt_tokenizer.answer_ids(answer)
            )
            for prompt, answer in pairs
        ]
        for (_prompt, answer), pair in zip(pairs, tokenised, strict=True):
            if not pair.answer:
                raise ValueError(f"an answer without a token cannot be scored: {answer!r}")
        self._check_fits([pair.prompt + pair.answer for pair in tokenised], 0)
        batches = log_likelihood.score_pairs(self.model, tokenised)
        while True:
            with self._lock:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text by itself."""
        return self.prompt_tokenizer.count(text)

    def _generate_batch(self, rows: list[list[int]], max_tokens: int) -> list[str]:
        import torch
        from transformers import StoppingCriteriaList

        width, end_id = max(map(len, rows)), self.prompt_tokenizer.end_id
        ids = torch.tensor([[end_id] * (width - len(row)) + row for row in rows])  # (rows, tokens), padded on the left
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        device = self.model.device
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=self._greedy_config(max_tokens),
                stopping_criteria=StoppingCriteriaList([repetition.StopOnRepetition(width)]),
            )
        return [self.prompt_tokenizer.decode(self._trimmed(row)) for row in out[:, width:].tolist()]

    def _greedy_config(self, max_tokens: int) -> Any:
        from transformers import GenerationConfig

        end_id, eos = self.prompt_tokenizer.end_id, self.model.generation_config.eos_token_id
        config_class: Any = GenerationConfig
        return config_class(
            do_sample=False, max_new_tokens=max_tokens, eos_token_id=end_id if eos is None else eos, pad_token_id=end_id
        )

    def _trimmed(self, ids: list[int]) -> list[int]:
        """Return an answer up to its end token, or to where it begins to repeat itself."""
        end = self.prompt_tokenizer.end_id
        return list(repetition.trim_repetition(ids[: ids.index(end)] if end in ids else ids))

    @property
    def window(self) -> int:
        """The context window: tokens of a prompt and its answer together; 0 where the weights do not say."""
        return int(getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None) or 0)

    def _check_fits(self, rows: Sequence[list[int]], answer_tokens: int) -> None:
        longest = max(map(len, rows), default=0) + answer_tokens
        if self.window and longest > self.window:
            raise ValueError(f"{longest} tokens do not fit into the {self.window} this generator can read")


Generator = TextGenerator | ApiGenerator


def is_remote(name: str) -> bool:
    """Return whether the name is the address of a server: no weights are loaded here."""
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
    """Open the generator called `name`: a server for an http(s) address, else weights that `resolve` can find.

    Raises NoGenerator.
    """
    if is_remote(name):
        return ApiGenerator(name, api_key, api_model)
    return TextGenerator(resolve(name, cache_dir), adapter_path or None, dtype)


def load_model(
    base_path: str | Path, adapter_path: str | Path | None = None, dtype: str = "float32"
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Load the weights, with the adapter merged into them, and the tokenizer. Raises NoGenerator."""
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
    """Return batches of rows of similar length, the longest first: at most BATCH_ROWS rows and BATCH_TOKENS tokens."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        batch = batches[-1] if batches else []
        if batch and len(batch) < BATCH_ROWS and lengths[batch[0]] * (len(batch) + 1) <= BATCH_TOKENS:
            batch.append(row)
        else:
            batches.append([row])
    return batches
