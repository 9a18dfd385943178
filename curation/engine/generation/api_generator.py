"""A generator behind an OpenAI-compatible server (vLLM, llama.cpp, Ollama, a hosted service).

Writing uses /chat/completions. Scoring needs the log-probabilities of given text, which only
/completions with `echo` returns, and only on some servers: `can_score` asks once.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.engine.generation import log_likelihood

Progress = Callable[[int, int], None]

TIMEOUT_SECONDS = 120
PARALLEL = 4
SCORED_AT_ONCE = 32
# Servers do not tell their tokenizer; a token of English text is about four characters, of Chinese about one.
_LETTERS_PER_TOKEN = 4
PROBE = "One two"
_CANNOT = {400, 404, 405, 422, 501}  # not: busy, not let in, broken


class ApiError(Exception):
    """The server did not answer, refused, or answered something else; the message says which."""


class Refused(ApiError):
    """The server says that it does not do this, and would say so again."""


class ApiGenerator:
    """Answers from a server. Safe to share between threads; a few requests are under way at a time.

    url: the address up to and with `/v1`. model: the name the server knows it by; empty for the first one
    it lists.
    """

    def __init__(self, url: str, key: str = "", model: str = "") -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._model = model
        self._can_score: bool | None = None
        self._asking = threading.Lock()

    @property
    def model(self) -> str:
        """The name of the model that answers."""
        with self._asking:
            if not self._model:
                listed = self._call("/models", None).get("data") or []
                if not listed:
                    raise ApiError(f"{self.url} lists no model: name one")
                self._model = str(listed[0]["id"])
            return self._model

    @property
    def can_score(self) -> bool:
        """Whether the server returns the log-probabilities of text it is given."""
        model = self.model
        with self._asking:
            if self._can_score is None:
                try:
                    answer = self._call("/completions", _echo(model, PROBE))
                    self._can_score = len(_given(answer, PROBE, 3)) > 0
                except Refused:
                    self._can_score = False
            return self._can_score

    def generate(self, prompts: Sequence[str], max_tokens: int = 48, on_progress: Progress | None = None) -> list[str]:
        """The server's answers at temperature 0, in the order of the prompts. Raises ApiError."""
        return self._each(partial(self._answer, self.model, max_tokens), prompts, on_progress)

    def score(self, pairs: Sequence[tuple[str, str]], on_progress: Progress | None = None) -> NDArray[np.float64]:
        """(n,) mean log-probability per token of each answer after its prompt. Raises ApiError where it cannot.

        The prompt goes as plain text, without the server's chat template: compare such scores only with
        each other.
        """
        return log_likelihood.gathered(self.score_batches(pairs), len(pairs), on_progress)

    def score_batches(self, pairs: Sequence[tuple[str, str]]) -> Iterator[log_likelihood.Scored]:
        """The same scores batch by batch, as they come. Raises ApiError."""
        if not self.can_score:
            raise ApiError(f"{self.url} does not return the log-probabilities of given text")
        for start in range(0, len(pairs), SCORED_AT_ONCE):
            some = pairs[start : start + SCORED_AT_ONCE]
            values = self._each(partial(self._score, self.model), some, None)
            yield log_likelihood.Scored(list(range(start, start + len(some))), values)

    def count_tokens(self, text: str) -> int:
        """About how many tokens a piece of text has, rather too many than too few."""
        ascii_letters = sum(character.isascii() for character in text)
        return len(text) - ascii_letters + -(-ascii_letters // _LETTERS_PER_TOKEN)

    def _answer(self, model: str, max_tokens: int, prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0}
        answer = self._call("/chat/completions", body)
        try:
            return str(answer["choices"][0]["message"]["content"] or "").strip()
        except (KeyError, IndexError, TypeError) as error:
            raise ApiError(f"{self.url} sent an answer without a message") from error

    def _score(self, model: str, pair: tuple[str, str]) -> float:
        prompt = pair[0] + "\nAnswer:"
        text = f"{prompt} {pair[1].strip()}"
        given = _given(self._call("/completions", _echo(model, text)), text, len(prompt))
        if not given:
            raise ApiError(f"{self.url} returned no log-probability for an answer")
        return sum(given) / len(given)

    def _each(self, ask: Callable[[Any], Any], items: Sequence[Any], on_progress: Progress | None) -> list[Any]:
        answers = []
        with ThreadPoolExecutor(PARALLEL) as pool:
            for answer in pool.map(ask, items):
                answers.append(answer)
                if on_progress:
                    on_progress(len(answers), len(items))
        return answers

    def _call(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            said = error.read(300).decode(errors="replace").strip()
            kind = Refused if error.code in _CANNOT else ApiError
            raise kind(f"{self.url}{path} answered {error.code}: {said}") from error
        except (OSError, ValueError) as error:
            raise ApiError(f"{self.url}{path} did not answer: {error}") from error
        if not isinstance(answer, dict):
            raise ApiError(f"{self.url}{path} answered no object")
        return answer


def _echo(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}


def _given(answer: dict[str, Any], text: str, start: int) -> list[float]:
    """The log-probabilities of the tokens of `text`, which was sent, that begin at character `start` or later.

    None where the offsets are not those of the text: a server that counts a mark of its own before it would have
    every answer begin at the wrong place.
    """
    try:
        found = answer["choices"][0]["logprobs"] or {}
        offsets, values = found["text_offset"], found["token_logprobs"]
        tokens = found.get("tokens") or [""] * len(offsets)
        rows = [row for row in zip(offsets, tokens, values, strict=True) if row[0] < len(text)]
    except (KeyError, IndexError, TypeError, ValueError):
        return []
    if not all(_stands(text, offset, token) for offset, token, _value in rows):
        return []
    return [float(value) for offset, _token, value in rows if value is not None and offset >= start]


def _stands(text: str, offset: int, token: str) -> bool:
    """Whether the token stands in the text at its offset; parts of a character cannot be told."""
    is_part = not token or "\ufffd" in token or token.startswith("bytes:")
    return is_part or (offset >= 0 and text.startswith(token, offset))
