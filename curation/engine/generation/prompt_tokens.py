"""Prompt tokens: how a prompt and an answer become token ids for one generator.

Prompt and answer are tokenised apart and their ids joined. So an answer has the same ids after every prompt, and its
first token is never merged with the prompt's last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# For weights without a chat template: what closes the prompt and opens the answer.
PLAIN_OPENING, PLAIN_JOINT = "\nAnswer:", " "


class PromptTokenizer:
    """A tokenizer with its chat template, if it has one, for one question and one answer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.is_chat = bool(tokenizer.chat_template)
        self.end_id = int(tokenizer.eos_token_id)
        self._special_tokens = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the ids of the whole input, up to where the answer begins."""
        text = self._without_special_tokens(prompt)
        if not self.is_chat:
            return self._ids(text + PLAIN_OPENING, special=True)
        messages = [{"role": "user", "content": text}]
        rendered = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return self._ids(str(rendered))

    def answer_ids(self, answer: str) -> list[int]:
        """Return the ids of the answer alone, without the end token; none for an empty answer."""
        text = self._without_special_tokens(answer.strip())
        if not text:
            return []
        return self._ids(text if self.is_chat else PLAIN_JOINT + text)

    def decode(self, ids: list[int]) -> str:
        """Return the text of these ids, without special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def count(self, text: str) -> int:
        """Return the number of tokens of a text by itself."""
        return len(self._ids(text))

    def _ids(self, text: str, special: bool = False) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])

    def _without_special_tokens(self, text: str) -> str:
        """Return the text without the tokenizer's special tokens: a passage must not end the user's turn."""
        for token in self._special_tokens:
            text = text.replace(token, "")
        return text
