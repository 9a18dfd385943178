"""How a prompt and an answer become token ids for one generator.

Prompt and answer are tokenised apart and their ids joined, so an answer is the same ids after every
prompt, and never loses its first token to a merge with the prompt's last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# For weights without a chat template: what closes the prompt and opens the answer.
PLAIN_OPENING, PLAIN_JOINT = "\nAnswer:", " "


class Dialogue:
    """One question and one answer in the words of a tokenizer and its chat template, if it has one."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.is_chat = bool(tokenizer.chat_template)
        self.end_id = int(tokenizer.eos_token_id)
        self._reserved = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)

    def prompt_ids(self, prompt: str) -> list[int]:
        """The ids of the whole input, up to where the answer begins."""
        text = self._harmless(prompt)
        if not self.is_chat:
            return self._ids(text + PLAIN_OPENING, special=True)
        messages = [{"role": "user", "content": text}]
        whole = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return self._ids(str(whole))

    def answer_ids(self, answer: str) -> list[int]:
        """The ids of the answer alone, without the end mark; none for an empty answer."""
        text = self._harmless(answer.strip())
        if not text:
            return []
        return self._ids(text if self.is_chat else PLAIN_JOINT + text)

    def text(self, ids: list[int]) -> str:
        """The answer that these ids spell."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def count(self, text: str) -> int:
        """Tokens of a piece of text by itself."""
        return len(self._ids(text))

    def _ids(self, text: str, special: bool = False) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])

    def _harmless(self, text: str) -> str:
        """The text without the tokenizer's reserved marks: a passage must not end the user's turn."""
        for mark in self._reserved:
            text = text.replace(mark, "")
        return text
